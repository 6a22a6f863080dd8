"""Activations that are compositions, swept against double precision.

    activations.py DNNC-RUN FOLDER

Their errors are stated in ULP of a reference size, because 1 + erf(x) and
log(1 + e^x) cancel where the result is tiny beside it: of |x| for GELU, which
is never larger, and of max(1, |x|) for softplus."""
import math
import os
import struct
import subprocess
import sys

BOUNDS = {"gelu": 2, "tanh_gelu": 3, "softplus": 2}
MODEL = """module form graph
const @a : f32[] = splat 0.044715
const @b : f32[] = splat 0.7978845608
const @one : f32[] = splat 1
const @half : f32[] = splat 0.5
func @main(%%x: f32[%(n)d]) -> ("gelu": f32[%(n)d], "tanh_gelu": f32[%(n)d], "softplus": f32[%(n)d]) {
  %%g = gelu %%x
  %%s = softplus %%x
  %%1 = mul %%x, %%x
  %%2 = mul %%x, %%1
  %%3 = mul %%2, @a
  %%4 = add %%x, %%3
  %%5 = mul %%4, @b
  %%6 = tanh %%5
  %%7 = add %%6, @one
  %%8 = mul %%x, @half
  %%9 = mul %%8, %%7
  return %%g, %%9, %%s
}
"""


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def ulp(x):
    return math.ldexp(1.0, max(math.frexp(x)[1], -125) - 24)


def reference(name, x):
    if name == "gelu":
        return 0.5 * x * math.erfc(-x / math.sqrt(2))
    if name == "softplus":
        return max(x, 0) + math.log1p(math.exp(-abs(x)))
    t = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
    return x / (1 + math.exp(-2 * t)) if t > -300 else 0.0


def size(name, x):
    return max(1, abs(x)) if name == "softplus" else abs(x)


def main():
    run, folder = sys.argv[1:]
    xs = [f32(s * math.ldexp(1 + k / 500, e)) for e in range(-20, 5)
          for k in range(500) for s in (1, -1)]
    model = os.path.join(folder, "activations.dnn")
    with open(model, "w") as f:
        f.write(MODEL % {"n": len(xs)})
    with open(os.path.join(folder, "x.bin"), "wb") as f:
        f.write(struct.pack("<%df" % len(xs), *xs))
    subprocess.run([run, model, "--input", "x=" + os.path.join(folder, "x.bin"),
                    "--output-dir", folder], check=True,
                   stdout=subprocess.DEVNULL)
    for name, bound in BOUNDS.items():
        with open(os.path.join(folder, name + ".npy"), "rb") as f:
            ys = struct.unpack("<%df" % len(xs), f.read()[-4 * len(xs):])
        worst, at = max((abs(y - reference(name, x)) / ulp(size(name, x)), x)
                        for x, y in zip(xs, ys))
        print("%s %s: %.3f ULP (bound %g) at %r" %
              ("FAIL" if worst > bound else "ok", name, worst, bound, at))


main()
