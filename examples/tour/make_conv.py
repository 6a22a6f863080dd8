#!/usr/bin/env python3
"""Writes conv.onnx, the model of docs/tour.md: a 3x3 convolution with stride 2,
bias and ReLU on an 8x8 picture of 3 channels. Needs numpy and onnx."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(0)
w = (rng.standard_normal((16, 3, 3, 3)) / 4).astype(np.float32)
b = np.linspace(-0.5, 0.5, 16, dtype=np.float32)
nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], "conv", strides=[2, 2], pads=[1, 1, 1, 1]),
         helper.make_node("Relu", ["c"], ["y"], "relu")]
graph = helper.make_graph(
    nodes, "tour",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16, 4, 4])],
    [numpy_helper.from_array(w, "w"), numpy_helper.from_array(b, "b")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
model.ir_version = 8
onnx.save(model, "conv.onnx")
