#!/usr/bin/env python3
"""sequences.py TEST FOLDER: the model that the lines `#ports|..` of TEST have, and
test data for it: a sequence of two tensors, an optional one and an absent one."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from onnxgen import blob, tensor, vint  # noqa: E402


def sequence(name, *tensors):
    return blob(1, name) + vint(2, 1) + b"".join(blob(3, t) for t in tensors)


def f32(*values):
    return tensor("", "f32", [len(values)], values)


folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
files = {
    "input_0": sequence("x", f32(1, 2), f32(3)),
    "input_1": blob(1, "m") + vint(2, 3) + blob(5, sequence("", f32(4, 5))),
    "input_2": blob(1, "o") + vint(2, 1),
    "output_0": sequence("y", f32(3), f32(4, 5), f32(1, 2)),
    "output_1": tensor("l", "i64", [], [3]),
    "output_2": tensor("h", "bool", [], [0]),
}
for name, data in files.items():
    with open(os.path.join(folder, name + ".pb"), "wb") as f:
        f.write(data)
