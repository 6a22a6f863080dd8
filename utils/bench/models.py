#!/usr/bin/env python3
"""Writes the benchmark networks as ONNX files: real topologies, random weights.

    models.py DIR [NAME...]

They prove speed and agreement with other runtimes, not accuracy. Weights are
normal with variance 2/fan-in (He et al. 2015), so that activations keep their
size through the depth. The classic image networks are the onnx package's own
"light" test models, whose constant weights are replaced. Needs onnx and numpy.
"""
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    """A graph under construction; values are (name, shape)."""

    def __init__(self, *shape):
        self.rng = np.random.default_rng(1)
        self.nodes, self.init, self.count, self.opset = [], [], 0, 17
        self.input = ("input", list(shape))
        self.more = []  # inputs

    def fresh(self, stem):
        self.count += 1
        return f"{stem}{self.count}"

    def const(self, array):
        name = self.fresh("w")
        self.init.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, op, inputs, shape, **attrs):
        out = self.fresh(op.lower())
        self.nodes.append(helper.make_node(op, inputs, [out], out, **attrs))
        return out, list(shape)

    def normal(self, *shape, fan_in):
        w = self.rng.standard_normal(shape) * np.float32(np.sqrt(2 / fan_in))
        return self.const(w.astype(np.float32))

    def activate(self, x, act):
        if act == "relu":
            return self.node("Relu", [x[0]], x[1])
        if act == "relu6":
            lo, hi = (self.const(np.float32(v)) for v in (0, 6))
            return self.node("Clip", [x[0], lo, hi], x[1])
        return x

    def conv(self, x, filters, kernel, stride=1, pads=None, groups=1, act="relu"):
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        pads = pads if pads is not None else [kh // 2, kw // 2, kh // 2, kw // 2]
        name, (n, c, h, w) = x
        weight = self.normal(filters, c // groups, kh, kw, fan_in=c // groups * kh * kw)
        bias = self.const(self.rng.uniform(-0.1, 0.1, filters).astype(np.float32))
        oh = (h + pads[0] + pads[2] - kh) // stride + 1
        ow = (w + pads[1] + pads[3] - kw) // stride + 1
        y = self.node("Conv", [name, weight, bias], [n, filters, oh, ow], kernel_shape=[kh, kw],
                      strides=[stride, stride], pads=pads, group=groups)
        return self.activate(y, act)

    def add(self, a, b, act=None):
        return self.activate(self.node("Add", [a[0], b[0]], a[1]), act)

    def max_pool(self, x, kernel, stride, pad):
        n, c, h, w = x[1]
        size = lambda v: (v + 2 * pad - kernel) // stride + 1
        return self.node("MaxPool", [x[0]], [n, c, size(h), size(w)], kernel_shape=[kernel] * 2,
                         strides=[stride] * 2, pads=[pad] * 4)

    def head(self, x, classes):
        """Global average pool and a dense layer."""
        n, c = x[1][:2]
        x = self.node("GlobalAveragePool", [x[0]], [n, c, 1, 1])
        return self.dense(self.node("Flatten", [x[0]], [n, c]), classes)

    def dense(self, x, units, act=None):
        n, c = x[1]
        weight = self.normal(units, c, fan_in=c)
        bias = self.const(self.rng.uniform(-0.1, 0.1, units).astype(np.float32))
        return self.activate(self.node("Gemm", [x[0], weight, bias], [n, units], transB=1), act)

    def softmax(self, x):
        return self.node("Softmax", [x[0]], x[1], axis=-1)

    def save(self, path, y):
        value = lambda v: helper.make_tensor_value_info(v[0], TensorProto.FLOAT, v[1])
        graph = helper.make_graph(self.nodes, Path(path).stem, [*map(value, [self.input, *self.more])], [value(y)], self.init)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)])
        model.ir_version = 8
        onnx.save(model, path)


def resnet50(net):
    """He et al. 2016, with the stride on the 3x3 convolution (v1.5)."""
    x = net.max_pool(net.conv(net.input, 64, 7, 2), 3, 2, 1)
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(blocks):
            s = stride if i == 0 else 1
            y = net.conv(net.conv(net.conv(x, width, 1), width, 3, s), 4 * width, 1, act=None)
            short = net.conv(x, 4 * width, 1, s, [0] * 4, act=None) if i == 0 else x
            x = net.add(y, short, "relu")
    return net.head(x, 1000)


def mobilenet_v1(net, alpha=1.0, classes=1000):
    """Howard et al. 2017, table 1."""
    x = net.conv(net.input, int(32 * alpha), 3, 2)
    for filters, s in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)) + 5 * ((512, 1),) + ((1024, 2), (1024, 1)):
        x = net.conv(x, x[1][1], 3, s, groups=x[1][1])
        x = net.conv(x, int(filters * alpha), 1)
    return net.head(x, classes)


def mobilenet_v2(net):
    """Sandler et al. 2018, table 2."""
    x = net.conv(net.input, 32, 3, 2, act="relu6")
    for t, c, n, s in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        for i in range(n):
            stride, wide = s if i == 0 else 1, x[1][1] * t
            y = net.conv(x, wide, 1, act="relu6") if t > 1 else x
            y = net.conv(net.conv(y, wide, 3, stride, groups=wide, act="relu6"), c, 1, act=None)
            x = net.add(x, y) if stride == 1 and x[1][1] == c else y
    return net.head(net.conv(x, 1280, 1, act="relu6"), 1000)


def vww(net):
    return net.softmax(mobilenet_v1(net, 0.25, 2))


def kws(net):
    """MLPerf Tiny keyword spotting, DS-CNN (Banbury et al. 2021)."""
    x = net.conv(net.input, 64, (10, 4), 2, [4, 1, 5, 1])
    for _ in range(4):
        x = net.conv(net.conv(x, 64, 3, groups=64), 64, 1)
    return net.softmax(net.head(x, 12))


def resnet8(net):
    """MLPerf Tiny image classification."""
    x = net.conv(net.input, 16, 3)
    for width, s in ((16, 1), (32, 2), (64, 2)):
        y = net.conv(net.conv(x, width, 3, s), width, 3, act=None)
        x = net.add(y, x if s == 1 else net.conv(x, width, 1, s, [0] * 4, act=None), "relu")
    return net.softmax(net.head(x, 10))


def autoencoder(net):
    """MLPerf Tiny anomaly detection."""
    x = net.input
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = net.dense(x, units, "relu")
    return net.dense(x, 640)


def split_heads(net, x, order):
    """[1, s, d] to [1, heads, s, d / heads], transposed by `order`."""
    _, s, d = x[1]
    shape = net.const(np.array([1, s, d // 64, 64], np.int64))
    x = net.node("Reshape", [x[0], shape], [1, s, d // 64, 64])
    return net.node("Transpose", [x[0]], [x[1][i] for i in order], perm=order)


def linear(net, x, units, bias=True):
    *batch, c = x[1]
    weight = net.const((net.rng.standard_normal((c, units)) / np.sqrt(c)).astype(np.float32))
    y = net.node("MatMul", [x[0], weight], [*batch, units])
    if not bias:
        return y
    return net.node("Add", [y[0], net.const(net.rng.uniform(-0.1, 0.1, units).astype(np.float32))], y[1])


def layer_norm(net, x):
    """As PyTorch exports it below opset 17: mean, difference, variance."""
    d = x[1][-1]
    scalar = lambda v: net.const(np.float32(v))
    mean = net.node("ReduceMean", [x[0]], [*x[1][:-1], 1], axes=[-1])
    diff = net.node("Sub", [x[0], mean[0]], x[1])
    square = net.node("Pow", [diff[0], scalar(2)], x[1])
    var = net.node("ReduceMean", [square[0]], mean[1], axes=[-1])
    var = net.node("Add", [var[0], scalar(1e-12)], mean[1])
    dev = net.node("Sqrt", [var[0]], mean[1])
    y = net.node("Div", [diff[0], dev[0]], x[1])
    y = net.node("Mul", [y[0], net.const(net.rng.uniform(0.8, 1.2, d).astype(np.float32))], x[1])
    return net.node("Add", [y[0], net.const(net.rng.uniform(-0.1, 0.1, d).astype(np.float32))], x[1])


def gelu(net, x):
    scalar = lambda v: net.const(np.float32(v))
    y = net.node("Div", [x[0], scalar(np.sqrt(2))], x[1])
    y = net.node("Erf", [y[0]], x[1])
    y = net.node("Add", [y[0], scalar(1)], x[1])
    y = net.node("Mul", [x[0], y[0]], x[1])
    return net.node("Mul", [y[0], scalar(0.5)], x[1])


def bert(net, layers=12, heads=12, wide=3072):
    """Devlin et al. 2019, the encoder as PyTorch exports it: 1 x 128 x 768."""
    x = net.input
    _, s, d = x[1]
    for _ in range(layers):
        q = split_heads(net, linear(net, x, d), [0, 2, 1, 3])
        k = split_heads(net, linear(net, x, d), [0, 2, 3, 1])
        v = split_heads(net, linear(net, x, d), [0, 2, 1, 3])
        a = net.node("MatMul", [q[0], k[0]], [1, heads, s, s])
        a = net.node("Div", [a[0], net.const(np.float32(8))], a[1])
        a = net.softmax(a)
        a = net.node("MatMul", [a[0], v[0]], q[1])
        a = net.node("Transpose", [a[0]], [1, s, heads, d // heads], perm=[0, 2, 1, 3])
        a = net.node("Reshape", [a[0], net.const(np.array([1, s, d], np.int64))], [1, s, d])
        x = layer_norm(net, net.add(linear(net, a, d), x))
        f = gelu(net, linear(net, x, wide))
        x = layer_norm(net, net.add(linear(net, f, d), x))
    return x


def bert_fused(net, layers=12, heads=12, wide=3072):
    """The same encoder with the operators that ONNX Runtime's optimiser writes."""
    x = net.input
    d = x[1][-1]
    vector = lambda n, lo=-0.1, hi=0.1: net.const(net.rng.uniform(lo, hi, n).astype(np.float32))

    def skip_norm(a, b):
        return net.node("SkipLayerNormalization", [a[0], b[0], vector(d, 0.8, 1.2), vector(d), vector(d)],
                        x[1], domain="com.microsoft", epsilon=1e-12)

    for _ in range(layers):
        q, k, v = (linear(net, x, d, bias=False) for _ in range(3))
        a = net.node("MultiHeadAttention", [q[0], k[0], v[0], vector(3 * d)], x[1],
                     domain="com.microsoft", num_heads=heads)
        x = skip_norm(linear(net, a, d, bias=False), x)
        f = linear(net, x, wide, bias=False)
        f = net.node("BiasGelu", [f[0], vector(wide)], f[1], domain="com.microsoft")
        x = skip_norm(linear(net, f, d, bias=False), x)
    return x


def product(columns, constant=True):
    """A matrix product, with weights or a second input on the right."""

    def build(net):
        rows, depth = net.input[1]
        if constant:
            return linear(net, net.input, columns, bias=False)
        net.more = [("right", [depth, columns])]
        return net.node("MatMul", ["input", "right"], [rows, columns])

    return build


def chain(kind, layers=8):
    """Products of a vector, whose weights come from memory: f32, dyn8, int4."""

    def build(net):
        x, n, block = net.input, net.input[1][1], 32
        ms = {"domain": "com.microsoft"}
        for _ in range(layers):
            if kind == "f32":
                x = net.node("MatMul", [x[0], net.normal(n, n, fan_in=2 * n)], x[1])
            elif kind == "dyn8":
                w = np.clip(net.rng.standard_normal((n, n)) * 30, -127, 127).astype(np.int8)
                x = net.node("DynamicQuantizeMatMul",
                             [x[0], net.const(w), net.const(np.float32(n ** -.5 / 30)),
                              net.const(np.int8(0))], x[1], **ms)
            else:
                w = net.rng.integers(0, 256, (n, n // block, block // 2)).astype(np.uint8)
                s = net.rng.uniform(.5, 1, n * (n // block)).astype(np.float32) / np.float32(4 * n ** .5)
                x = net.node("MatMulNBits", [x[0], net.const(w), net.const(s)], x[1], K=n, N=n,
                             bits=4, block_size=block, accuracy_level=4, **ms)
        return x

    return build


def light(name):
    """A test model of the onnx package with random weights for its constants."""

    def random(net, shape, op, position):
        if op in ("Conv", "Gemm", "MatMul") and position == 1:
            return net.normal(*shape, fan_in=int(np.prod(shape[1:])))
        lo, hi = (0.8, 1.2) if (op, position) in (("BatchNormalization", 1), ("BatchNormalization", 4),
                                                  ("Unsqueeze", 0), ("Mul", 1)) else (-0.1, 0.1)
        return net.const(net.rng.uniform(lo, hi, shape).astype(np.float32))

    def build(net):
        path = Path(onnx.__file__).parent / f"backend/test/data/light/light_{name}.onnx"
        graph = onnx.load(path).graph
        shapes = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
        shapes |= {n.output[0]: numpy_helper.to_array(n.attribute[0].t)
                   for n in graph.node if n.op_type == "Constant"}
        first = {}
        for n in graph.node:
            for k, i in enumerate(n.input):
                first.setdefault(i, (n.op_type, k))
        new, dead = {}, set()
        for n in graph.node:
            if n.op_type == "ConstantOfShape" and n.input[0] in shapes:
                shape = [int(v) for v in shapes[n.input[0]]]
                value = next((numpy_helper.to_array(a.t) for a in n.attribute), np.zeros(1, np.float32))
                if value.dtype == np.float32:
                    new[n.output[0]] = random(net, shape, *first[n.output[0]])
                    dead.add(n.input[0])
                    continue
            n.input[:] = [new.get(i, i) for i in n.input]
            net.nodes.append(n)
        net.init += [i for i in graph.initializer if i.name not in dead]
        size = lambda v: [d.dim_value or 1 for d in v.type.tensor_type.shape.dim]
        inputs = [i for i in graph.input if i.name not in shapes]
        net.input = (inputs[0].name, size(inputs[0]))
        net.opset = 9
        return graph.output[0].name, size(graph.output[0])

    return build


NETWORKS = {  # name: (builder, input shape)
    "resnet50": (resnet50, (1, 3, 224, 224)),
    "mobilenet_v1": (mobilenet_v1, (1, 3, 224, 224)),
    "mobilenet_v2": (mobilenet_v2, (1, 3, 224, 224)),
    "vgg19": (light("vgg19"), ()),
    "inception_v1": (light("inception_v1"), ()),
    "inception_v2": (light("inception_v2"), ()),
    "densenet121": (light("densenet121"), ()),
    "squeezenet": (light("squeezenet"), ()),
    "shufflenet": (light("shufflenet"), ()),
    "alexnet": (light("bvlc_alexnet"), ()),
    "bert_base": (bert, (1, 128, 768)),
    "bert_base_fused": (bert_fused, (1, 128, 768)),
    "tiny_vww": (vww, (1, 3, 96, 96)),
    "tiny_kws": (kws, (1, 1, 49, 10)),
    "tiny_ic": (resnet8, (1, 3, 32, 32)),
    "tiny_ad": (autoencoder, (1, 640)),
}
PRODUCTS = {
    "512x512x512": (product(512), (512, 512)),
    "512x512x512_inputs": (product(512, False), (512, 512)),
    "1024x1024x1024": (product(1024), (1024, 1024)),
    "128x768x768": (product(768), (128, 768)),
    "128x768x3072": (product(3072), (128, 768)),
    "1x4096x4096": (product(4096), (1, 4096)),
}
SIZES = {"1e4": 10**4, "1e5": 10**5, "1e6": 10**6}


def ints(net, *values):
    return net.const(np.array(values, np.int64))


def one(op, **attrs):
    """An operator along the last axis, or `axis`."""

    def build(net):
        shape = list(net.input[1])
        if op == "CumSum":
            return net.node(op, ["input", net.const(np.int64(attrs["axis"]))], shape)
        if op == "TopK":
            k = attrs["k"] or shape[-1]
            y = net.node(op, ["input", ints(net, k)], [*shape[:-1], k])
            net.nodes[-1].output.append("indices")
            return y
        if op == "ArgMax":
            y = net.node(op, ["input"], [*shape[:-1], 1], axis=len(shape) - 1)
            return net.node("Cast", [y[0]], y[1], to=TensorProto.FLOAT)
        if op == "DFT":
            return net.node(op, ["input"], [1, shape[1] // 2 + 1, 2], onesided=1)
        n, step = attrs["frame"], attrs["step"]
        window = net.const(np.hanning(n).astype(np.float32))
        return net.node(op, ["input", net.const(np.int64(step)), window],
                        [1, (shape[1] - n) // step + 1, n // 2 + 1, 2], onesided=1)

    return build


SCANS = {}  # what must grow as n or n log n
for s, n in SIZES.items():
    SCANS |= {
        f"cumsum_{s}": (one("CumSum", axis=0), (n,)),
        f"cumsum_down_{s}": (one("CumSum", axis=0), (n // 100, 100)),
        f"top100_{s}": (one("TopK", k=100), (n,)),
        f"sort_{s}": (one("TopK", k=0), (n,)),
        f"argmax_{s}": (one("ArgMax"), (n,)),
        f"dft_{s}": (one("DFT"), (1, n, 1)),
        f"stft_{s}": (one("STFT", frame=512, step=160), (1, n, 1)),
    }
CHAINS = {f"8x4096_{kind}": (chain(kind), (1, 4096)) for kind in ("f32", "dyn8", "int4")}
DYNAMIC = ["bert_base.dyn8", *CHAINS]
HALVES = ["resnet50", "mobilenet_v1", "mobilenet_v2", "bert_base"]
MODELS = NETWORKS | PRODUCTS | SCANS | CHAINS


def write(directory, names):
    paths = []
    for name in names or NETWORKS | PRODUCTS:
        path = Path(directory) / f"{name}.onnx"
        source = Path(name).stem
        if source != name and not path.exists():
            from onnxruntime.quantization import quantize_dynamic
            quantize_dynamic(write(directory, [source])[0], path)
        build, shape = MODELS[source]
        if not path.exists():
            net = Net(*shape)
            net.save(path, build(net))
        paths.append(path)
    return paths


QUANTIZED = ["resnet50", "mobilenet_v1", "mobilenet_v2", "tiny_vww", "tiny_kws",
             "tiny_ic", "tiny_ad"]


def write_quantized(directory, names):
    """What ONNX Runtime's static quantizer makes of networks: QDQ, u8 activations, i8 weights
    of each channel."""
    from onnxruntime import quantization as q

    class Reader(q.CalibrationDataReader):
        def __init__(self, shape):
            rng = np.random.default_rng(2)
            self.data = iter([{"input": rng.standard_normal(shape).astype(np.float32)}
                              for _ in range(2)])

        def get_next(self):
            return next(self.data, None)

    paths = []
    for source in write(directory, names):
        path = source.with_suffix(".int8.onnx")
        if not path.exists():
            q.quantize_static(source, path, Reader(MODELS[source.stem][1]), q.QuantFormat.QDQ,
                              per_channel=True, activation_type=q.QuantType.QUInt8,
                              weight_type=q.QuantType.QInt8)
        paths.append(path)
    return paths


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for p in write(sys.argv[1], sys.argv[2:]):
        print(p)
