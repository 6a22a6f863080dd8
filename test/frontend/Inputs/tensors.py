#!/usr/bin/env python3
"""tensors.py OUT.onnx: a model whose outputs are initializers, each stored in
another of the ways that TensorProto has; and OUT.onnx.pb, one tensor."""
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from onnxgen import *  # noqa: E402,F403


def packed(field, numbers):
    return blob(field, b"".join(varint(n) for n in numbers))


T = [
    ("raw_f32", "f32", [2], blob(9, struct.pack("<2f", 1, -2))),
    ("raw_odd", "f32", [1], blob(9, struct.pack("<f", 3))),
    ("raw_f64", "f64", [1], blob(9, struct.pack("<d", 0.1))),
    ("raw_f16", "f16", [2], blob(9, struct.pack("<2e", 0.5, 3))),
    ("raw_bool", "bool", [3], blob(9, bytes([0, 1, 9]))),
    ("float_data", "f32", [2], blob(4, struct.pack("<2f", 4, 5))),
    ("float_unpacked", "f32", [2], float32(4, 6) + float32(4, 7)),
    ("double_data", "f64", [1], blob(10, struct.pack("<d", 8))),
    ("int32_i32", "i32", [2], packed(5, [-1, 9])),
    ("int32_i8", "i8", [2], packed(5, [-128, 127])),
    ("int32_u16", "u16", [1], packed(5, [65535])),
    ("int32_f16", "f16", [1], packed(5, [0x3c00])),
    ("int32_bf16", "bf16", [1], packed(5, [0x4000])),
    ("int32_bool", "bool", [2], packed(5, [1, 0])),
    ("int64_data", "i64", [2], packed(7, [-5, 1 << 40])),
    ("int64_mixed", "i64", [3], vint(7, 1) + packed(7, [2, 3])),
    ("uint64_u32", "u32", [1], packed(11, [4000000000])),
    ("uint64_data", "u64", [1], packed(11, [1 << 63])),
    ("raw_i4", "i4", [3], blob(9, b"\x87\x0f")),
    ("int32_u4", "u4", [3], packed(5, [0x87, 0x0f])),
    ("raw_i2", "i2", [5], blob(9, b"\xe4\x02")),
    ("int32_u2", "u2", [2, 2], packed(5, [0xe4])),
    ("raw_f4", "f4e2m1", [2], blob(9, b"\xf1")),
    ("int32_f8", "f8e4m3fn", [2], packed(5, [0x7e, 0xb8])),
    ("raw_f8", "f8e5m2", [2], blob(9, b"\x7c\x01")),
    ("raw_e8", "f8e8m0", [2], blob(9, b"\x7f\x82")),
    ("scalar", "f32", [], blob(9, struct.pack("<f", 0.25))),
    ("empty", "f32", [0, 3], b""),
]

with open(sys.argv[1], "wb") as f:
    f.write(model(graph([], [], [value_info(t[0]) for t in T],
                        [tensor(n, d, s, data=v) for n, d, s, v in T])))
with open(sys.argv[1] + ".pb", "wb") as f:
    f.write(tensor("t", "i64", [2, 1], data=packed(7, [3, -4])))
