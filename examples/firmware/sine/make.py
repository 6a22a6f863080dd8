"""Writes sine.tflite, the sine of an angle from 0 to 2 pi, in 8 bits: make.py DIR.
A line that bends at 16 angles, so that no training is needed: each unit of the first
layer is how far the angle is beyond one, the second layer adds them up."""
import math
import os
import sys

sys.path.append(os.path.join(os.path.dirname(__file__), "../../../test/frontend/Inputs"))
from tflite import model  # noqa: E402

UNITS, TURN = 16, 2 * math.pi
STEP = TURN / UNITS
angle, far, one, weight = TURN / 255, TURN / 255, 1 / 127, 0.25 / 127

heights = [math.sin(i * STEP) for i in range(UNITS + 1)]
slopes = [(b - a) / STEP for a, b in zip(heights, heights[1:])]
bends = [b - a for a, b in zip([0.0] + slopes, slopes)]
weight = max(map(abs, bends)) / 127

text = """
in angle i8[1,1] %.9g:-128
w i8[%d,1] %.9g:0 = 127
b i32[%d] %.9g:0 = %s
beyond i8[1,%d] %.9g:-128
v i8[1,%d] %.9g:0 = %s
out sine i8[1,1] %.9g:0
9/8 angle w b -> beyond 0b=1
9/8 beyond v - -> sine
""" % (angle, UNITS, one, UNITS, angle * one,
       " ".join(str(round(-i * STEP / (angle * one))) for i in range(UNITS)),
       UNITS, far, UNITS, weight, " ".join(str(round(b / weight)) for b in bends), one)

with open(os.path.join(sys.argv[1], "sine.tflite"), "wb") as f:
    f.write(model(text))
