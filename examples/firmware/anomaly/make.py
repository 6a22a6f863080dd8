#!/usr/bin/env python3
"""make.py DIR - a network that finds faults of a machine by its vibration, and two
windows of 64 samples: normal.bin, fault.bin.

The machine turns; what it does when it is well is a sum of the first four harmonics.
An autoencoder that keeps these gives back such a window, and not one with the
ringing of a broken bearing: how far both are apart is the score, in 1/10000. Weights: sines and
cosines, scaled so that coding and decoding undo each other."""
import math
import random
import struct
import sys

N, HARMONICS = 64, 4
folder = sys.argv[1]
basis = [[wave(2 * math.pi * h * t / N) for h in range(1, HARMONICS + 1)
          for wave in (math.sin, math.cos)] for t in range(N)]
encode = [v * 2 / N for row in basis for v in row]
decode = [basis[t][k] for k in range(2 * HARMONICS) for t in range(N)]


def hex_of(values):
    return struct.pack("<%df" % len(values), *values).hex()


with open(folder + "/anomaly.dnn", "w") as f:
    f.write(f"""const @encode : f32[{N},{2 * HARMONICS}] = hex "{hex_of(encode)}"
const @decode : f32[{2 * HARMONICS},{N}] = hex "{hex_of(decode)}"
const @each : f32[] = splat {1e4 / N}
func @main(%window: f32[1,{N}]) -> ("score": i32[1,1]) {{
  %code = matmul %window, @encode
  %again = matmul %code, @decode
  %error = sub %window, %again
  %square = mul %error, %error
  %sum = reduce_sum %square {{axes=[1]}}
  %mean = mul %sum, @each
  %score = cast %mean {{to=i32}}
  return %score
}}
""")

rng = random.Random(1)
turn = [0.8 * math.sin(2 * math.pi * t / N + 0.4) + 0.3 * math.cos(6 * math.pi * t / N)
        + rng.gauss(0, 0.02) for t in range(N)]
ring = [0.5 * math.exp(-(t % 16) / 4) * math.sin(2.2 * t) for t in range(N)]
for name, samples in (("normal", turn), ("fault", [a + b for a, b in zip(turn, ring)])):
    with open("%s/%s.bin" % (folder, name), "wb") as f:
        f.write(struct.pack("<%df" % N, *samples))
