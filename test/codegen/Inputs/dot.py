#!/usr/bin/env python3
"""dot.py TYPE SEED [CHANNELS|rows] - as text, a convolution or product of 8-bit numbers of
TYPE (u8, i8) with i8 constants, quantized again; or of bf16. rows: by channel."""
import random
import sys

TYPE, SEED = sys.argv[1], int(sys.argv[2])
LEAST = -128 if TYPE == "u8" else -127
FLOAT = TYPE == "bf16"
SUM = "f32" if FLOAT else "i32"
rng = random.Random(SEED)


def dims(shape):
    return "[" + ",".join(map(str, shape)) + "]"


def constant(name, dtype, shape, values):
    print(f"const @{name} : {dtype}{dims(shape)} = dense [{', '.join(map(str, values))}]")


c = rng.choice([1, 2, 3, 4, 5, 7, 8, 16, 17, 24, 32, 64])
ROWS = sys.argv[3:] == ["rows"]
c = int(sys.argv[3]) if len(sys.argv) > 3 and not ROWS else c
o = rng.choice([1, 2, 3, 4, 8, 10, 16, 17, 24, 33, 48, 64])
if ROWS:
    o = c = rng.choice([8, 16, 20, 24, 33, 48, 64])
    k, l = rng.choice([1, 2, 3, 3, 5]), rng.choice([2, 3, 3, 4, 5, 7])
    stride, wide, pads = rng.choice([1, 1, 2]), rng.choice([1, 1, 2]), [rng.randint(0, 2) for _ in range(4)]
    h, v = rng.randint(k, 12), rng.randint(wide * (l - 1) + 1, 20)
    x, w = [1, h, v, c], [c, k, l, 1]
    y = [1, (h + pads[0] + pads[2] - k) // stride + 1,
         (v + pads[1] + pads[3] - wide * (l - 1) - 1) // stride + 1, c]
    op = (f"conv %x, @w {{strides={dims([stride] * 2)}, pads={dims(pads)}, dilations=[1,{wide}], "
          f"groups={c}, outside={rng.randint(0, 100)}, to=i32}}")
elif rng.random() < 0.3:
    m = rng.choice([1, 2, 3, 7, 12, 49])
    x, w, y, op = [m, c], [c, o], [m, o], f"matmul %x, @w {{to={SUM}}}"
else:
    k, l, stride, pad = rng.choice([1, 2, 3]), rng.choice([1, 3]), rng.choice([1, 1, 2]), rng.choice([0, 1])
    h, v = rng.randint(k, 9), rng.randint(l, 9)
    x, w = [1, h, v, c], [o, k, l, c]
    y = [1, (h + 2 * pad - k) // stride + 1, (v + 2 * pad - l) // stride + 1, o]
    outside = rng.randint(0, 100)
    op = (f"conv %x, @w {{strides={dims([stride] * 2)}, pads={dims([pad] * 4)}, "
          f"outside={outside}, to={SUM}}}")
size = 1
for d in w:
    size *= d
if FLOAT:
    constant("w", "bf16", w, [rng.randint(-128, 127) / 64 for _ in range(size)])
    constant("b", "f32", [o], [rng.uniform(-1, 1) for _ in range(o)])
    print(f"""func @main(%x: bf16{dims(x)}) -> (bf16{dims(y)}) {{
  %1 = {op}
  %2 = add %1, @b
  %3 = cast %2 {{to=bf16}}
  return %3
}}""")
    sys.exit()
constant("w", "i8", w, [rng.randint(LEAST, 127) for _ in range(size)])
constant("b", "i32", [o], [rng.randint(-1000, 1000) for _ in range(o)])
constant("s", "f32", [o], [rng.uniform(1e-4, 1e-2) for _ in range(o)])
print(f"""const @z : f32[1] = splat 5
func @main(%x: {TYPE}{dims(x)}) -> ({TYPE}{dims(y)}) {{
  %1 = {op}
  %2 = add %1, @b
  %3 = cast %2 {{to=f32}}
  %4 = mul %3, @s
  %5 = narrow %4, @z {{to={TYPE}}}
  return %5
}}""")
