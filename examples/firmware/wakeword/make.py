#!/usr/bin/env python3
"""make.py DIR DATA - frames.bin: four seconds of sound as 120 frames of 40 numbers of
8 bits, of the calibration samples of MLPerf Tiny's streaming wake word."""
import array
import sys
import zipfile

SAMPLES, FRAMES, SCALE, ZERO = [0, 15, 31, 22], 30 * 40, 0.003701042616739869, -128
with zipfile.ZipFile(sys.argv[2] + "/inputs/sww_calibration_samples.npz") as z:
    raw = z.read("specs.npy")
values = array.array("d", raw[10 + int.from_bytes(raw[8:10], "little"):])
with open(sys.argv[1] + "/frames.bin", "wb") as f:
    for s in SAMPLES:
        frames = values[s * FRAMES:(s + 1) * FRAMES]
        f.write(array.array("b", [min(127, max(-128, round(v / SCALE) + ZERO))
                                  for v in frames]).tobytes())
