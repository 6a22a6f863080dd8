"""order.py DIR: argsort of every element type against Python's own stable sort:
shapes, axes, how many, both directions, ties, both zeros, NaN, infinities; at
each level of optimization, by the interpreter and with threads. A line a run."""
import math
import os
import random
import struct
import subprocess
import sys

folder = sys.argv[1]
random.seed(5)
PACK = {"f32": "f", "f64": "d", "f16": "e", "i8": "b", "u8": "B", "i16": "h",
        "u16": "H", "i32": "i", "u32": "I", "i64": "q", "u64": "Q", "bool": "?"}
RUNS = [["-O0"], ["-O2"], ["-Os"], ["--interp"], ["-O2", "--threads=2"],
        ["-O2", "--mcpu=x86-64"] if os.uname().machine == "x86_64" else ["-O1"]]


def element(dtype):
    if dtype == "bool":
        return random.random() < 0.5
    if dtype[0] == "f":
        return random.choice([random.randint(-3, 3), random.uniform(-9, 9), 0.0,
                              -0.0, math.inf, -math.inf, math.nan, -math.nan])
    bits = int(dtype[1:])
    low, high = (0, 2**bits - 1) if dtype[0] == "u" else (-2**(bits - 1),
                                                          2**(bits - 1) - 1)
    return random.choice([low, high, high // 2, random.randint(low, high),
                          random.randint(max(low, -3), 3)])


def expected(v, shape, axis, k, largest):
    inner, n = math.prod(shape[axis + 1:]), shape[axis]
    out = [0] * (math.prod(shape[:axis]) * k * inner)
    for a in range(math.prod(shape[:axis])):
        for b in range(inner):
            def key(i):
                e = v[(a * n + i) * inner + b]
                return (1, 0) if e != e else (0, e)
            order = sorted(range(n), key=key)
            if largest:  # ties by the lower index, still
                order = sorted(range(n), key=lambda i: (key(i), -i))[::-1]
            for j in range(k):
                out[(a * k + j) * inner + b] = order[j]
    return out


def read(path):
    data = open(path, "rb").read()
    start = 10 + struct.unpack_from("<H", data, 8)[0]
    return list(struct.unpack("<%di" % ((len(data) - start) // 4),
                              data[start:]))


cases = []
for dtype in PACK:
    for shape, axis, k in [([9], 0, 9), ([3, 40], 1, 7), ([17, 5], 0, 17),
                           ([2, 70, 3], 1, 64), ([4, 1, 2], 1, 1), ([30], 0, 1),
                           ([2, 33], 1, 0), ([2, 300], 1, 300), ([9000], 0, 9000),
                           ([2, 9000], 1, 5000)]:
        cases.append((dtype, shape, axis, k, random.randint(0, 1)))
params, body, results, args, want = [], [], [], [], []
for i, (dtype, shape, axis, k, largest) in enumerate(cases):
    v = [element(dtype) for _ in range(math.prod(shape))]
    raw = struct.pack("<%d%s" % (len(v), PACK[dtype]), *v)
    if dtype == "f16":
        v = struct.unpack("<%de" % len(v), raw)
    if dtype == "f32":
        v = struct.unpack("<%df" % len(v), raw)
    path = os.path.join(folder, "x%d.bin" % i)
    open(path, "wb").write(raw)
    out = "i32%s" % str(shape[:axis] + [k] + shape[axis + 1:]).replace(" ", "")
    params.append("%%x%d: %s%s" % (i, dtype, str(shape).replace(" ", "")))
    results.append('"y%d": %s' % (i, out))
    body.append("  %%y%d = argsort %%x%d {axis=%d, k=%d, largest=%d} : %s\n" %
                (i, i, axis, k, largest, out))
    args += ["--input", "x%d=%s" % (i, path)]
    want.append(expected(v, shape, axis, k, largest))
model = os.path.join(folder, "order.dnn")
with open(model, "w") as f:
    f.write("func @main(%s) -> (%s) {\n%s  return %s\n}\n" % (
        ", ".join(params), ", ".join(results), "".join(body),
        ", ".join("%%y%d" % i for i in range(len(cases)))))
for run in RUNS:
    got = os.path.join(folder, "out")
    os.makedirs(got, exist_ok=True)
    subprocess.run(["dnnc-run", model, "--output-dir", got] + args + run,
                   check=True, stdout=subprocess.DEVNULL)
    bad = [i for i in range(len(cases))
           if read(os.path.join(got, "y%d.npy" % i)) != want[i]]
    for i in bad:
        print("differs", cases[i], run)
    print("%s: %d of %d right" % (" ".join(run), len(cases) - len(bad),
                                  len(cases)))
