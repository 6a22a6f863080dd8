#!/usr/bin/env python3
"""make.py DIR - an LSTM that follows the moisture of soil, an hour at a time, and
readings of three days: rain.bin, of rain in mm and temperature in degrees.

A call takes an hour's readings and leaves two cells as state. The first is the water
in the soil: rain adds to it, and the warmer it is the less of it its forget gate
leaves. The second is the warmth of the last hours, which dries the surface. The dense
layer makes percent of them."""
import math
import struct
import sys

CELLS, INPUTS = 2, 2
# A row for each input and each cell's output, a column for each cell of the gates
# input, forget, candidate, output; then the biases.
RAIN = [0, 0, 0, 0, 0.2, 0, 0, 0]
WARM = [0, 0, -0.07, 0, 0, 0.05, 0, 0]
H0 = [-0.5, 0, 0, 0, 0, 0, 0, 0]
H1 = [0, 0, 0, 0, 0, 0.1, 0, 0]
BIAS = [1, 1, 5, 2, 0, -0.75, 3, 3]
DENSE = [55, -4]


def floats(values):
    return struct.pack("<%df" % len(values), *values).hex()


def gate(name, k):
    return (f"  %{name} = slice %sum {{starts=[0,{k * CELLS}], sizes=[1,{CELLS}]}}\n")


with open(sys.argv[1] + "/soil.dnn", "w") as f:
    f.write(f"""const @w : f32[{INPUTS + CELLS},{4 * CELLS}] = hex "{floats(RAIN + WARM + H0 + H1)}"
const @b : f32[1,{4 * CELLS}] = hex "{floats(BIAS)}"
const @dense : f32[{CELLS},1] = hex "{floats(DENSE)}"
const @dry : f32[] = splat 8
func @main(%hour: f32[1,{INPUTS}], %h: f32[1,{CELLS}], %c: f32[1,{CELLS}])
    -> ("percent": i32[1,1], "h_next": f32[1,{CELLS}], "c_next": f32[1,{CELLS}]) {{
  %x = concat %hour, %h {{axis=1}}
  %products = matmul %x, @w
  %sum = add %products, @b
{gate("i", 0)}{gate("f", 1)}{gate("g", 2)}{gate("o", 3)}  %i1 = sigmoid %i
  %f1 = sigmoid %f
  %g1 = tanh %g
  %o1 = sigmoid %o
  %kept = mul %f1, %c
  %new = mul %i1, %g1
  %c1 = add %kept, %new
  %c2 = tanh %c1
  %h1 = mul %o1, %c2
  %wet = matmul %h1, @dense
  %level = add %wet, @dry
  %percent = cast %level {{to=i32}}
  return %percent, %h1, %c1 {{state=[-1,1,2]}}
}}
""")

with open(sys.argv[1] + "/rain.bin", "wb") as f:
    for hour in range(72):
        rain = {5: 4, 6: 8, 7: 3, 40: 2}.get(hour, 0)
        warm = 18 + 8 * math.sin((hour - 9) / 24 * 2 * math.pi)
        f.write(struct.pack("<2f", rain, warm))
