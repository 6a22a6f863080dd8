"""fft.py DIR: DFT and STFT against sums written out: lengths that are powers,
products, primes and multiples of large primes; real and complex, both ways, half
spectra, any axis, other lengths than the signal's. A line a run."""
import cmath
import os
import random
import subprocess
import sys

folder = sys.argv[1]
onnxgen = os.path.join(os.path.dirname(__file__),
                       "../../frontend/Inputs/onnxgen.py")
random.seed(3)
lines, cases = [], 0


def transform(x, inverse):
    n = len(x)
    turn = [cmath.exp((2j if inverse else -2j) * cmath.pi * k / n)
            for k in range(n)]
    return [sum(v * turn[i * k % n] for i, v in enumerate(x)) /
            (n if inverse else 1) for k in range(n)]


def text(values, parts):
    return " ".join("%.9g" % p for v in values
                    for p in [v.real, v.imag][:parts])


def signal(n, parts):
    return [complex(random.uniform(-1, 1), random.uniform(-1, 1) * (parts - 1))
            for _ in range(n)]


def add(op, inits, args, shape, x, parts, out, y, outs, dtype="f32"):
    """One model with all cases: an input, an output and a node each."""
    global cases
    i, cases = cases, cases + 1
    lines.append("#m|in x%d: %s[%s] = %s" % (
        i, dtype, ",".join(map(str, shape + [parts])), text(x, parts)))
    for name, spec in inits:
        lines.append("#m|init %s%d: %s" % (name, i, spec))
    lines.append("#m|y%d = %s" % (i, op.replace("@", str(i)) + args))
    lines.append("#m|out y%d: %s[%s] = %s" % (
        i, dtype, ",".join(map(str, out + [outs])), text(y, outs)))


def dft(n, parts, inverse=0, onesided=0, size=None, dtype="f32"):
    """Along axis 1 of [2, size, parts]."""
    size = size or n
    half = inverse and onesided
    rows = n // 2 + 1 if half else n
    x, y = [], []
    for _ in range(2):
        row = signal(size, parts)
        if half:  # of a real signal
            row[0] = complex(row[0].real)
            if n % 2 == 0 and size == rows:
                row[-1] = complex(row[-1].real)
        x += row
        row = (row + [0] * n)[:rows]
        if half:
            row += [complex(v).conjugate() for v in row[(n - 1) // 2:0:-1]]
        row = transform([complex(v) for v in row], inverse)
        y += row[:n // 2 + 1] if onesided and not inverse else row
    outs = 1 if half else 2
    add("DFT(x@, n@, a@)", [("n", "i64[] = %d" % n), ("a", "i64[] = 1")],
        " inverse=%d onesided=%d" % (inverse, onesided), [2, size], x, parts,
        [2, len(y) // 2], y, outs, dtype)


def dft_across(n, parts):
    """Along axis 0 of [n, 3, parts]."""
    x = [signal(n, parts) for _ in range(3)]
    y = [transform(v, 0) for v in x]
    add("DFT(x@, , a@)", [("a", "i64[] = 0")], "", [n, 3],
        [x[b][i] for i in range(n) for b in range(3)], parts, [n, 3],
        [y[b][i] for i in range(n) for b in range(3)], 2)


def stft(length, n, step, parts, window, onesided):
    w = [random.uniform(0, 1) for _ in range(n)] if window else [1] * n
    x, y = signal(2 * length, parts), []
    for b in (0, length):
        for at in range(b, b + length - n + 1, step):
            row = transform([v * f for v, f in zip(x[at:at + n], w)], 0)
            y += row[:n // 2 + 1] if onesided else row
    inits = [("s", "i64[] = %d" % step), ("n", "i64[] = %d" % n)]
    if window:
        inits.append(("w", "f32[%d] = %s" % (n, text(map(complex, w), 1))))
    k = n // 2 + 1 if onesided else n
    add("STFT(x@, s@, %s, n@)" % ("w@" if window else ""), inits,
        " onesided=%d" % onesided, [2, length], x, parts,
        [2, len(y) // 2 // k, k], y, 2)


for n in (1, 2, 3, 12, 16, 31, 37, 60, 97, 128, 142, 210):
    for parts in (1, 2):
        dft(n, parts)
        dft(n, parts, inverse=1)
        dft_across(n, parts)
    dft(n, 1, onesided=1)
for n in (2, 9, 32, 74):
    dft(n, 2, inverse=1, onesided=1, size=n // 2 + 1)
dft(40, 1, size=33)
dft(33, 2, size=40)
dft(35, 2, inverse=1, size=36, dtype="f64")
stft(60, 12, 5, 1, True, 1)
stft(100, 37, 20, 2, True, 0)
stft(64, 32, 32, 1, False, 1)
spec = os.path.join(folder, "spec")
open(spec, "w").write("#m|opset 20\n" + "\n".join(lines) + "\n")
model, data = os.path.join(folder, "m.onnx"), os.path.join(folder, "set")
subprocess.run([sys.executable, onnxgen, spec, model, "m", data], check=True)
for run in (["-O0"], ["-O2"], ["--interp"], ["-O2", "--threads=2"]):
    line = subprocess.run(["dnnc-run", model, "--test-data", data,
                           "--atol=2e-6"] + run, capture_output=True, text=True)
    print(" ".join(run), cases, "cases:", line.stdout.split(" ")[0],
          line.stderr[-500:])
