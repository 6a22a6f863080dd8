"""mask.py right SEED..: attention by blocks of queries under masks of all kinds, of
which some hide nothing, against the whole; the worst seed's difference.
mask.py count COUNT FOLDER: instructions of causal attention and of that of a window,
counted by COUNT (utils/bench/count)."""
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

MAIN = """
#include "mask.h"
static float x[3][COUNT], y[COUNT];
static unsigned char arena[MASK_ARENA_SIZE]
    __attribute__((aligned(MASK_ARENA_ALIGN)));
int main(void) {
  return mask_run((void *)x[0], (void *)x[1], (void *)x[2], (void *)y, arena);
}
"""


def numbers(name, dtype, dims, values):
    shape = ",".join(map(str, dims))
    return f"const @{name} : {dtype}[{shape}] = dense [{', '.join(map(str, values))}]\n"


def model(n, consts, mask):
    """`mask`: ops from %x, the scores, to %y; %i and %j are positions."""
    t = f"f32[{n},16]"
    return f"""const @scale : f32[] = splat 0.25
const @low : f32[] = splat -inf
const @zero : f32[] = splat 0
{consts}func @main(%q: {t}, %k: {t}, %v: {t}) -> ("o": {t}) {{
  %j = iota {{shape=[1,{n}], axis=1, to="i32"}}
  %i = iota {{shape=[{n},1], axis=0, to="i32"}}
  %kt = transpose %k {{perm=[1,0]}}
  %s = matmul %q, %kt
  %x = mul %s, @scale
{mask}
  %m = reduce_max %y {{axes=[1]}}
  %d = sub %y, %m
  %e = exp %d
  %t = reduce_sum %e {{axes=[1]}}
  %p = div %e, %t
  %o = matmul %p, %v
  return %o
}}
"""


def compared(n, r):
    """Positions, compared in one way or another."""
    back, on = r.randrange(n), r.randrange(n // 2)
    consts = numbers("back", "i32", [], [back]) + numbers("on", "i32", [], [on])
    first = r.choice(["%a = le %j, %i", "%up = add %i, @on\n  %a = lt %j, %up",
                      "%b = lt %i, %j\n  %a = not %b"])
    text = f"  %h = sub %i, @back\n  {first}\n  %c = le %h, %j\n"
    text += r.choice(["  %seen = and %a, %c", "  %seen = or %a, %c",
                      "  %seen = select %c, %a, %c"])
    return consts, text + "\n  %y = select %seen, %x, @low"


def whole(n, r):
    """Each query sees some keys in a range of its own, of which there may be none."""
    rows = []
    for i in range(n):
        lo = max(0, i - r.randrange(n // 2))
        hi = min(n, lo + r.randrange(n // 3) + r.choice([0, 1, 1, 1]))
        rows += [int(lo <= j < hi and (j == lo or r.random() < 0.8)) for j in range(n)]
    if r.random() < 0.3:
        return (numbers("seen", "bool", [n, n], rows),
                "  %y = select @seen, %x, @low")
    if r.random() < 0.3:
        return (numbers("hidden", "bool", [n, n], [1 - v for v in rows]),
                "  %y = select @hidden, @low, %x")
    low = r.choice(["-inf", "-3.4028234e38", "-20"])  # the last hides nothing
    return (numbers("bias", "f32", [n, n], ["0" if v else low for v in rows]),
            "  %y = add %x, @bias")


def run(*argv):
    return subprocess.run([str(a) for a in argv], check=True, capture_output=True,
                          text=True).stdout


def results(folder, path, n, *flags):
    run("dnnc-run", path, "--random=1", "--output-dir", folder / "out", *flags)
    data = (folder / "out/o.npy").read_bytes()
    return struct.unpack(f"{n * 16}f", data[-n * 64:])


def right(seeds):
    worst, cut = 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed in seeds:
            r = random.Random(seed)
            n = r.choice([48, 64, 70])
            path = folder / "mask.dnn"
            path.write_text(model(n, *r.choice([compared, whole])(n, r)))
            blocks = f"--stripe=s..o:{r.choice([4, 6, 8, 16])}"
            cut += f",{n}] do" not in run("dnnc", path, blocks, "--emit=kernels", "-o", "-")
            want = results(folder, path, n, "--interp")
            got = results(folder, path, n, blocks, r.choice(["-O0", "-O2"]))
            for a, b in zip(got, want):
                if (a == a) != (b == b):
                    print("seed", seed, a, "is not", b)
                worst = max(worst, abs(a - b) if a == a else 0)
    print("right" if worst < 1e-5 else f"wrong by {worst}", f"{cut} masks hide keys")


def count(counter, folder):
    """Of one call, with n queries."""
    folder.mkdir(parents=True, exist_ok=True)
    causal = "  %seen = le %j, %i\n"
    window = causal.replace("%seen", "%a") + (
        "  %h = sub %i, @back\n  %c = lt %h, %j\n  %seen = and %a, %c\n")
    masks = {"full": ("", "  %y = mul %x, @scale"),
             "causal": ("", causal + "  %y = select %seen, %x, @low"),
             "window": (numbers("back", "i32", [], [256]),
                        window + "  %y = select %seen, %x, @low")}
    counts = {}
    for name, n in (("full", 1024), ("causal", 1024), ("window", 1024), ("window", 2048)):
        (folder / "mask.dnn").write_text(model(n, *masks[name]))
        (folder / "main.c").write_text(MAIN.replace("COUNT", str(n * 16)))
        run("dnnc", folder / "mask.dnn", "--target=x86_64-linux-gnu",
            "-mcpu=x86-64-v3", "-o", folder / "mask.o")
        run("cc", "-static", f"-I{folder}", folder / "main.c", folder / "mask.o", "-o",
            folder / "mask")
        counts[name, n] = int(run(counter, "--run=mask", folder / "mask").split()[1])
    part = counts["causal", 1024] / counts["full", 1024]
    twice = counts["window", 2048] / counts["window", 1024]
    print("causal", "half" if part < 0.65 else part)
    print("window", "linear" if twice < 2.2 else twice)


if sys.argv[1] == "count":
    count(sys.argv[2], Path(sys.argv[3]))
else:
    right(range(int(sys.argv[2]), int(sys.argv[3])))
