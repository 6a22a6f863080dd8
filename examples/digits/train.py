#!/usr/bin/env python3
"""Trains the digits network and writes digits.onnx and digits.npy.

Needs numpy, onnx and scikit-learn (PyPI); the committed files were made by one
run of it. Data: "Optical Recognition of Handwritten Digits", E. Alpaydin and
C. Kaynak, UCI Machine Learning Repository, CC BY 4.0; 8x8 grey images, as
packaged by scikit-learn. Every fifth image is kept for testing.

The network is conv 3x3x16, ReLU, conv 3x3x32, ReLU, max-pool 2x2, a dense layer
to 10 classes and softmax: 9,930 parameters.
"""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

rng = np.random.default_rng(7)


def columns(x):
    """NHWC -> patches of a 3x3 window with padding 1: [N,H,W,9*C]."""
    n, h, w, c = x.shape
    p = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return np.concatenate([p[:, r:r + h, s:s + w] for r in range(3) for s in range(3)], 3)


def scatter(d, c):
    """The transpose of columns()."""
    n, h, w, _ = d.shape
    p = np.zeros((n, h + 2, w + 2, c), d.dtype)
    for k in range(9):
        r, s = divmod(k, 3)
        p[:, r:r + h, s:s + w] += d[..., k * c:(k + 1) * c]
    return p[:, 1:-1, 1:-1]


def pool(x):
    n, h, w, c = x.shape
    v = x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4).reshape(n, h // 2, w // 2, c, 4)
    return v.max(-1), v.argmax(-1)


def unpool(d, arg):
    n, h, w, c = d.shape
    v = (np.arange(4) == arg[..., None]) * d[..., None]
    return v.reshape(n, h, w, c, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(n, 2 * h, 2 * w, c)


def he(*shape):
    return (rng.standard_normal(shape) * np.sqrt(2 / shape[0])).astype(np.float32)


def forward(p, x):
    c1 = columns(x)
    a1 = np.maximum(c1 @ p["w1"] + p["b1"], 0)
    c2 = columns(a1)
    a2 = np.maximum(c2 @ p["w2"] + p["b2"], 0)
    m, arg = pool(a2)
    f = m.reshape(len(x), -1)
    z = f @ p["w3"] + p["b3"]
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True), (c1, a1, c2, a2, arg, f)


def gradients(p, x, y):
    prob, (c1, a1, c2, a2, arg, f) = forward(p, x)
    dz = (prob - np.eye(10, dtype=np.float32)[y]) / len(x)
    g = {"w3": f.T @ dz, "b3": dz.sum(0)}
    d2 = unpool((dz @ p["w3"].T).reshape(len(x), 4, 4, 32), arg) * (a2 > 0)
    g["w2"] = c2.reshape(-1, c2.shape[-1]).T @ d2.reshape(-1, 32)
    g["b2"] = d2.sum((0, 1, 2))
    d1 = scatter(d2 @ p["w2"].T, 16) * (a1 > 0)
    g["w1"] = c1.reshape(-1, c1.shape[-1]).T @ d1.reshape(-1, 16)
    g["b1"] = d1.sum((0, 1, 2))
    return g


def train(x, y, epochs=40, batch=32, rate=1e-3):
    p = {"w1": he(9, 16), "b1": np.zeros(16, np.float32), "w2": he(144, 32),
         "b2": np.zeros(32, np.float32), "w3": he(512, 10), "b3": np.zeros(10, np.float32)}
    m = {k: np.zeros_like(v) for k, v in p.items()}
    v = {k: np.zeros_like(w) for k, w in p.items()}
    step = 0
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for i in range(0, len(x), batch):
            step += 1
            g = gradients(p, x[order[i:i + batch]], y[order[i:i + batch]])
            for k in p:  # Adam, Kingma and Ba 2015, algorithm 1
                m[k] = 0.9 * m[k] + 0.1 * g[k]
                v[k] = 0.999 * v[k] + 0.001 * g[k] ** 2
                p[k] -= rate * (m[k] / (1 - 0.9 ** step)) / (np.sqrt(v[k] / (1 - 0.999 ** step)) + 1e-8)
    return {k: w.astype(np.float32) for k, w in p.items()}


def save(p, path):
    oihw = lambda w, i, o: w.reshape(3, 3, i, o).transpose(3, 2, 0, 1)
    chw = p["w3"].reshape(4, 4, 32, 10).transpose(2, 0, 1, 3).reshape(512, 10)
    init = {"conv1.weight": oihw(p["w1"], 1, 16), "conv1.bias": p["b1"],
            "conv2.weight": oihw(p["w2"], 16, 32), "conv2.bias": p["b2"],
            "dense.weight": chw, "dense.bias": p["b3"]}
    conv = dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    node = helper.make_node
    nodes = [node("Conv", ["image", "conv1.weight", "conv1.bias"], ["c1"], "conv1", **conv),
             node("Relu", ["c1"], ["r1"], "relu1"),
             node("Conv", ["r1", "conv2.weight", "conv2.bias"], ["c2"], "conv2", **conv),
             node("Relu", ["c2"], ["r2"], "relu2"),
             node("MaxPool", ["r2"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
             node("Flatten", ["p"], ["f"], "flatten"),
             node("Gemm", ["f", "dense.weight", "dense.bias"], ["logits"], "dense"),
             node("Softmax", ["logits"], ["digit"], "softmax", axis=1)]
    graph = helper.make_graph(
        nodes, "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("digit", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in init.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, path)


def main():
    digits = load_digits()
    x = (digits.images[..., None] / 16).astype(np.float32)
    y = digits.target
    test = np.arange(len(x)) % 5 == 0
    p = train(x[~test], y[~test])
    prob, _ = forward(p, x[test])
    right = (prob.argmax(1) == y[test]).sum()
    print(f"{right} of {test.sum()} test images right, {100 * right / test.sum():.1f} %")
    print(sum(w.size for w in p.values()), "parameters")
    save(p, "digits.onnx")
    np.save("digits.npy", x[test][:64, :, :, 0].reshape(64, 1, 1, 8, 8))
    np.save("labels.npy", y[test][:64].astype(np.uint8))


main()
