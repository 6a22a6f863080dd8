#!/usr/bin/env python3
"""matrix.py TYPE SEED [conv H W C O K STRIDE PAD | M K N] - as text, a convolution or product of
u8 by i8 constants, quantized again, perhaps beside a residual, or of bf16: drawn large enough
for matrix registers, or of that shape."""
import random
import sys

TYPE, SEED, REST = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
FLOAT = TYPE == "bf16"
SUM = "f32" if FLOAT else "i32"
rng = random.Random(SEED)


def dims(shape):
    return "[" + ",".join(map(str, shape)) + "]"


def constant(name, dtype, shape, draw):
    size = 1
    for d in shape:
        size *= d
    print(f"const @{name} : {dtype}{dims(shape)} = dense [{', '.join(str(draw()) for _ in range(size))}]")


ks = [4, 8, 12, 16, 24, 32, 36, 40, 48, 64, 72, 96, 128, 144, 160, 192, 256]
ns = [16, 17, 20, 24, 31, 32, 40, 48, 64, 72, 80, 96, 128, 144]
if not REST:
    if rng.random() < 0.4:
        REST = [rng.choice([5, 9, 16, 17, 31, 33, 49, 50, 65, 100, 128, 196]), rng.choice(ks), rng.choice(ns)]
    else:
        k = rng.choice([1, 1, 2, 3, 3, 5])
        REST = ["conv", rng.randint(k, 20), rng.randint(k, 40), rng.choice(ks[:14]), rng.choice(ns), k,
                rng.choice([1, 1, 2]), rng.choice([0, 1, k // 2])]
if REST[0] == "conv":
    h, v, c, o, k, stride, pad = map(int, REST[1:])
    n = rng.choice([1, 1, 1, 2])
    x, w = [n, h, v, c], [o, k, k, c]
    y = [n, (h + 2 * pad - k) // stride + 1, (v + 2 * pad - k) // stride + 1, o]
    op = (f"conv %x, @w {{strides={dims([stride] * 2)}, pads={dims([pad] * 4)}, "
          f"outside={0 if FLOAT else rng.randint(0, 100)}, to={SUM}}}")
else:
    m, k, o = map(int, REST)
    x, w, y, op = [m, k], [k, o], [m, o], f"matmul %x, @w {{to={SUM}}}"
if FLOAT:
    constant("w", "bf16", w, lambda: rng.randint(-128, 127) / 64)
    constant("b", "f32", [o], lambda: rng.uniform(-1, 1))
    print(f"""func @main(%x: bf16{dims(x)}) -> (f32{dims(y)}) {{
  %1 = {op}
  %2 = add %1, @b
  return %2
}}""")
    sys.exit()
constant("w", "i8", w, lambda: rng.randint(-128, 127))
constant("b", "i32", [o], lambda: rng.randint(-5000, 5000))
constant("s", "f32", [o], lambda: rng.uniform(1e-4, 1e-3))
residual = rng.random() < 0.4
print(f"""const @zero : u8[] = dense [{rng.randint(0, 255)}]
func @main(%x: u8{dims(x)}{f', %r: u8{dims(y)}' if residual else ''}) -> (u8{dims(y)}) {{
  %1 = {op}
  %2 = add %1, @b
  %3 = cast %2 {{to=f32}}
  %4 = mul %3, @s""")
if residual:
    print("""  %r2 = cast %r {to=f32}
  %q = add %4, %r2
  %5 = cast @zero {to=f32}
  %6 = narrow %q, %5 {to=u8}
  return %6
}""")
else:
    print("""  %5 = cast @zero {to=f32}
  %6 = narrow %4, %5 {to=u8}
  return %6
}""")
