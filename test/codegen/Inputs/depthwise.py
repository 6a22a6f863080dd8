#!/usr/bin/env python3
"""depthwise.py SEED [ROWS] - as text, a depthwise convolution of i8, quantized again."""
import random
import sys

rng = random.Random(int(sys.argv[1]))
pick = rng.choice
k, l = pick([1, 2, 3, 3, 5]), pick([1, 2, 3, 3, 4, 5, 7])
c, each, batch = pick([1, 2, 3, 4, 6, 8]), pick([1, 1, 1, 2]), pick([1, 1, 2])
stride, dilation = [pick([1, 1, 2]), pick([1, 1, 2, 3])], [1, pick([1, 1, 1, 2])]
pads = [pick([0, 1, 2]) for _ in range(4)]
size = [rng.randint(k, k + 9), rng.randint(1 + (l - 1) * dilation[1], 20)]
size[0] = int(sys.argv[2]) if len(sys.argv) > 2 else size[0]
y = [(size[i] + pads[i] + pads[i + 2] - 1 - ((k, l)[i] - 1) * dilation[i]) // stride[i] + 1
     for i in range(2)]
o = c * each


def constant(name, dtype, shape, values):
    print(f"const @{name} : {dtype}{shape} = dense {values}".replace(", ", ","))


constant("w", "i8", [o, k, l, 1], [rng.randint(-128, 127) for _ in range(o * k * l)])
constant("b", "i32", [o], [rng.randint(-1000, 1000) for _ in range(o)])
constant("s", "f32", [o], [rng.uniform(1e-3, 1e-2) for _ in range(o)])
print(f"""const @z : f32[1] = splat 5
func @main(%x: i8[{batch},{size[0]},{size[1]},{c}]) -> (i8[{batch},{y[0]},{y[1]},{o}]) {{
  %1 = conv %x, @w {{strides={stride}, pads={pads}, dilations={dilation}, groups={c},
    outside={rng.randint(-128, 127)}, to=i32}}
  %2 = add %1, @b
  %3 = cast %2 {{to=f32}}
  %4 = mul %3, @s
  %5 = narrow %4, @z {{to=i8}}
  return %5
}}""")
