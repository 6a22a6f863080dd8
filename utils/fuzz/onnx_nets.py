"""onnx_nets.py - generators (see onnx_ops.py) of the operators of networks:
products, convolutions, pools, norms, sampling, signals, attention, recurrence,
quantization."""
import numpy as np

from onnx_graph import DTYPES, FLOATS, Invalid, is_float, text
from onnx_ops import MS, axis_of, generator, ints, number, types


def f32(g, shape, lo=-1.0, hi=1.0, const=None):
    return g.new("f32", list(shape), lo, hi, False, const)


# ---- Products ----
def batches(g):
    """Batch dims of two operands, of ranks of their own."""
    full = [g.rng.choice([1, 2, 3]) for _ in range(g.rng.randint(0, 3))]
    both = []
    for _ in range(2):
        own = [d if g.chance(.7) else 1 for d in full]
        both.append(own[g.rng.randint(0, len(own)) if g.chance(.5) else 0:])
    return both


def matrices(g, ts, lo=-1.0, hi=1.0, vectors=True):
    ba, bb = batches(g)
    m, k, n = (g.rng.choice([0, 1] if g.chance(.04) else
                            [1, 2, 3, 5, 8, 16, 17, 31]) for _ in range(3))
    da, db = ba + [m, k], bb + [k, n]
    if vectors and g.chance(.1):
        da = [k]
    if vectors and g.chance(.1):
        db = [k]
    t = g.rng.choice(ts)
    a = g.new(t, da, lo, hi, False, const=False)
    for v in g.values[-10:]:
        if text(v.a) == t and v.a.ndim >= 2 and v.kind != "const" and \
                is_float(v.a) and g.chance(.5) and v.a.size and \
                np.isfinite(v.a.astype(np.float64)).all():
            a = v
            db = db[:-2] + [v.a.shape[-1]] + db[-1:] if len(db) > 1 else \
                [v.a.shape[-1]]
            if len(db) > 2:
                db = db[-2:]
            break
    return a, g.new(t, db, lo, hi, False)


@generator("MatMul")
def matmul(g, op, domain):
    a, b = matrices(g, types(g, op))
    g.node(op, [a, b], exact=not is_float(a.a))


@generator(MS + ".FusedMatMul")
def fused_matmul(g, op, domain):
    ba, bb = batches(g)
    m, k, n = (g.rng.choice([1, 2, 5, 8, 17]) for _ in range(3))
    ta, tb = g.rng.randint(0, 1), g.rng.randint(0, 1)
    a = f32(g, ba + ([k, m] if ta else [m, k]), const=False)
    b = f32(g, bb + ([n, k] if tb else [k, n]))
    g.node(op, [a, b], domain=domain, transA=ta, transB=tb,
           alpha=number(g, .1, 2) if g.chance(.5) else None)


def gemm_operands(g, t):
    m, k, n = (g.rng.choice([1, 2, 3, 5, 8, 17, 33]) for _ in range(3))
    ta, tb = g.rng.randint(0, 1), g.rng.randint(0, 1)
    a = g.pick([t], -3, 3, least=2, most=2, empty=False) if t == "f32" else \
        g.new(t, [m, k], special=False)
    m, k = a.a.shape[::-1] if ta else a.a.shape
    b = g.new(t, [n, k] if tb else [k, n], special=False)
    c = g.rng.choice([[m, n], [n], [1, n], [m, 1], [], [1]])
    return a, b, g.new(t, c, special=False), ta, tb


@generator("Gemm", MS + ".FusedGemm")
def gemm(g, op, domain):
    a, b, c, ta, tb = gemm_operands(
        g, "f32" if domain else g.rng.choice(types(g, "Gemm", 0, FLOATS)))
    attrs = {"activation": g.rng.choice(["Relu", "Tanh", "Sigmoid"])} \
        if domain else {}
    t = text(a.a)
    g.node(op, [a, b, c] if g.opset < 11 or g.chance(.7) else [a, b],
           domain=domain, exact=False,
           transA=ta, transB=tb,
           alpha=number(g, .1, 2) if g.chance(.5) and t[0] in "fb" else None,
           beta=number(g, .1, 2) if g.chance(.5) and t[0] in "fb" else None,
           **attrs)


@generator("SwiGLU")
def swiglu(g, op, domain):
    a = g.pick(["f32", "f16"], -3, 3)
    b = g.new(text(a.a), list(a.a.shape), special=False)
    g.node(op, [a, b], alpha=number(g, .5, 2) if g.chance(.5) else None)


@generator("CausalConvWithState")
def causal_conv(g, op, domain):
    b, c, n, k = g.rng.randint(1, 2), g.rng.randint(1, 5), \
        g.rng.randint(1, 9), g.rng.randint(1, 4)
    ins = [f32(g, [b, c, n], const=False), f32(g, [c, 1, k])]
    if g.chance(.7):
        ins.append(f32(g, [c]) if g.chance(.7) else None)
        ins.append(f32(g, [b, c, k - 1], const=False))
    g.node(op, ins, 2, activation=g.rng.choice([None, "none", "silu",
                                                "swish"]))


@generator("Col2Im")
def col2im(g, op, domain):
    nd = g.rng.choice([1, 2, 2, 3])
    sizes = [g.rng.randint(2, 6) for _ in range(nd)]
    attrs = window(g, nd, sizes)
    attrs.pop("auto_pad", None)
    block = attrs.pop("kernel_shape")
    n, c, steps = g.rng.randint(1, 2), g.rng.randint(1, 3), 1
    for k in range(nd):
        pads = attrs.get("pads", [0] * 2 * nd)
        span = (block[k] - 1) * attrs.get("dilations", [1] * nd)[k] + 1
        steps *= (sizes[k] + pads[k] + pads[nd + k] - span) // \
            attrs.get("strides", [1] * nd)[k] + 1
    x = f32(g, [n, c * int(np.prod(block)), steps], const=False)
    g.node(op, [x, ints(g, sizes), ints(g, block)], **attrs)


@generator("Einsum")
def einsum(g, op, domain):
    eq = g.rng.choice(["ij,jk->ik", "bij,bjk->bik", "i,j->ij", "ij->ji",
                       "ij->i", "ij,ij->", "bhqd,bhkd->bhqk", "ii->i",
                       "...ij,...jk->...ik", "ij,jk", "abc,cd,de->abe",
                       "...i->...", "ab,b->a", "i,i", "ijk,il->jkl",
                       "a...b,b...c->a...c"])
    size = {c: g.rng.randint(1, 6) for c in "abcdehijklqb"}
    more = [g.rng.randint(1, 3) for _ in range(g.rng.randint(0, 2))]
    args = []
    t = g.rng.choice(["f32", "f32", "f64", "i32", "i64"])
    for part in eq.split("->")[0].split(","):
        dims, rest = [], part
        while rest:
            if rest.startswith("..."):
                dims += more
                rest = rest[3:]
            else:
                dims.append(size[rest[0]])
                rest = rest[1:]
        args.append(g.new(t, dims, special=False))
    g.node(op, args, exact=t[0] == "i",
           equation=eq.replace(",", " , ") if g.chance(.2) else eq)


# ---- Convolutions and pools ----
def window(g, nd, sizes, pool=False, dilated=True):
    """Attributes of a window that fits."""
    kernel = [g.rng.randint(1, min(3, s)) for s in sizes]
    attrs = {"kernel_shape": kernel}
    if g.chance(.6):
        attrs["strides"] = [g.rng.randint(1, 3) for _ in sizes]
    if dilated and g.chance(.3):
        attrs["dilations"] = [g.rng.randint(1, 2) if (k - 1) * 2 < s else 1
                              for k, s in zip(kernel, sizes)]
    way = g.rng.random()
    if way < .3:
        attrs["auto_pad"] = g.rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])
        # Judges disagree on pads below 0 (a window shorter than its stride),
        # and ONNX Runtime on the shape of dilated pools.
        if attrs["auto_pad"] != "VALID":
            if pool:
                attrs.pop("dilations", None)
            if "strides" in attrs:
                attrs["strides"] = [min(s, k) for s, k in
                                    zip(attrs["strides"], kernel)]
    elif way < .75:
        attrs["pads"] = [g.rng.randint(0, k - 1 if pool else 2)
                         for k in kernel + kernel]
    return attrs


def image(g, channels, nd=None, t="f32"):
    """Of a rank of its own, or made before."""
    if nd is None:
        nd = g.rng.choice([1, 2, 2, 2, 3])
    dims = [g.rng.choice([1, 1, 2]), channels] + \
        [g.rng.choice([1, 3, 4, 5, 7, 9] if nd > 1 else [3, 7, 16, 30])
         for _ in range(nd)]
    while np.prod(dims) > 700:
        dims[2 + g.rng.randrange(nd)] = 3
        dims[0] = 1
    return g.new(t, dims, -1, 1, False, const=False)


def seen_image(g, ts=("f32",)):
    v = g.pick(list(ts), -9, 9, least=3, most=5, empty=False, reuse=.7)
    return v


@generator("Conv", MS + ".FusedConv", "ConvTranspose")
def conv(g, op, domain):
    groups = g.rng.choice([1, 1, 1, 2, 3])
    t = g.rng.choice(types(g, "Conv") if not domain else ["f32"])
    if t == "bf16" or op == "ConvTranspose":  # the reference is wrong
        t = "f32"
    inputs, outputs = g.rng.randint(1, 5), g.rng.randint(1, 6)
    if g.chance(.4) and t == "f32" and not domain:
        x = seen_image(g)
        c = x.a.shape[1]
        groups = g.rng.choice([n for n in range(1, c + 1) if c % n == 0])
        inputs = c // groups
    else:
        if g.chance(.2):
            groups, inputs, outputs = g.rng.choice([4, 8, 17]), 1, 1
        x = image(g, groups * inputs, t=t)
    nd = x.a.ndim - 2
    attrs = window(g, nd, x.a.shape[2:])
    if op == "ConvTranspose":
        w = [groups * inputs, outputs] + attrs["kernel_shape"]
        if g.chance(.3) and "strides" in attrs:
            attrs["output_padding"] = [g.rng.randint(0, s - 1)
                                       for s in attrs["strides"]]
        if attrs.get("auto_pad", "V")[0] == "S" and g.opset < 11:
            raise Invalid("SAME of old opsets")
    else:
        w = [groups * outputs, inputs] + attrs["kernel_shape"]
    if groups > 1 or g.chance(.3):
        attrs["group"] = groups
    if g.chance(.5):
        del attrs["kernel_shape"]
    ins = [x, g.new(t, w, -1, 1, False)]
    if g.chance(.6):
        ins.append(g.new(t, [groups * outputs], -1, 1, False))
    if domain:
        attrs["activation"] = g.rng.choice(["Relu", "Tanh", "Sigmoid",
                                            "LeakyRelu", "Clip"])
        if attrs["activation"] == "LeakyRelu":
            attrs["activation_params"] = [.1]
        if attrs["activation"] == "Clip":
            attrs["activation_params"] = [-.5, .7]
    g.node(op, ins, domain=domain, **attrs)


@generator("AveragePool", "MaxPool", "LpPool", MS + ".NhwcMaxPool")
def pool(g, op, domain):
    if domain:
        n, c = 1, g.rng.randint(1, 5)
        dims = [n] + [g.rng.randint(3, 8) for _ in range(2)] + [c]
        x = g.new(g.rng.choice(["u8", "i8"]), dims)
        attrs = window(g, 2, dims[1:3], True, False)
        g.node(op, [x], domain=domain, exact=True, **attrs)
        return
    # The reference leaves out dilations when it averages.
    x = seen_image(g, ["f32", "f64"] if op == "MaxPool" else ["f32"])
    attrs = window(g, x.a.ndim - 2, x.a.shape[2:], True,
                   op == "MaxPool" and g.opset >= 10 or g.opset >= 19)
    if g.chance(.3) and g.opset >= (10 if op != "LpPool" else 18):
        attrs["ceil_mode"] = 1
    if op == "AveragePool" and g.chance(.4):
        attrs["count_include_pad"] = g.rng.randint(0, 1)
    if op == "LpPool" and g.chance(.6):
        attrs["p"] = g.rng.randint(1, 3)
    second = op == "MaxPool" and g.chance(.2) and x.exact
    if second and g.chance(.3):
        attrs["storage_order"] = 1
    g.node(op, [x], 2 if second else 1, exact=op == "MaxPool", **attrs)


@generator("MaxUnpool")
def max_unpool(g, op, domain):
    x = g.pick(["f32"], -9, 9, exact=True, least=3, most=4, empty=False)
    attrs = {"kernel_shape": [g.rng.randint(1, min(3, s))
                              for s in x.a.shape[2:]]}
    attrs["strides"] = list(attrs["kernel_shape"])
    y, i = g.node("MaxPool", [x], 2, exact=True, **attrs)
    ins = [y, i]
    # Of another output_shape than the inferred one, ONNX Runtime takes the
    # indices as if they were made for it.
    if g.chance(.4) and not any(s % k for s, k in zip(
            x.a.shape[2:], attrs["kernel_shape"])):
        ins.append(ints(g, x.a.shape))
    g.node(op, ins, exact=True, **attrs)


@generator("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(g, op, domain):
    x = seen_image(g)
    g.node(op, [x], exact=op == "GlobalMaxPool",
           p=g.rng.randint(1, 3) if op == "GlobalLpPool" and g.chance(.6)
           else None)


# ---- Norms ----
@generator("BatchNormalization")
def batch_norm(g, op, domain):
    x = g.pick(["f32"], -9, 9, least=2, empty=False)
    c = x.a.shape[1]
    rest = [f32(g, [c], .2 if k == 3 else -1, 1) for k in range(4)]
    attrs = {"epsilon": 1e-3} if g.chance(.5) else {}
    g.node(op, [x] + rest, **attrs)


@generator("GroupNormalization")
def group_norm(g, op, domain):
    x = seen_image(g)
    c = x.a.shape[1]
    n = g.rng.choice([k for k in range(1, c + 1) if c % k == 0])
    size = c if g.opset >= 21 else n
    if size != c:
        size = c = n
        x = image(g, n)
    g.node(op, [x, f32(g, [size]), f32(g, [size])], num_groups=n,
           epsilon=1e-3 if g.chance(.5) else None)


@generator("InstanceNormalization")
def instance_norm(g, op, domain):
    x = seen_image(g)
    c = x.a.shape[1]
    if np.prod(x.a.shape[2:]) == 1:  # all rounding, and much of it
        raise Invalid("a variance of 0")
    g.node(op, [x, f32(g, [c]), f32(g, [c])],
           epsilon=1e-2 if g.chance(.5) else None)


@generator("LayerNormalization", "RMSNormalization",
           "SimplifiedLayerNormalization")
def layer_norm(g, op, domain):
    x = g.pick(["f32"], -9, 9, least=1, empty=False)
    axis = axis_of(g, x.a.ndim)
    if op[0] == "S":
        axis = -1
    dims = list(x.a.shape[axis:])
    ins = [x, f32(g, dims)]
    keep = [True]
    if op[0] == "L":
        if g.chance(.6):
            ins.append(f32(g, dims))
        keep = g.rng.choice([[True], [True], [True, True, True],
                             [True, False, True]])
    g.node(op, ins, keep=keep, axis=axis if axis != -1 or g.chance(.5)
           else None, epsilon=1e-2)


@generator("LpNormalization")
def lp_norm(g, op, domain):
    x = g.pick(["f32"], .2, 3, least=1, empty=False)
    g.node(op, [x], axis=axis_of(g, x.a.ndim) if g.chance(.7) else None,
           p=g.rng.choice([None, 1, 2]))


@generator("LRN")
def lrn(g, op, domain):
    x = g.pick(["f32"], -9, 9, least=4, most=4, empty=False)
    g.node(op, [x], size=g.rng.choice([1, 3, 3, 5]),
           alpha=number(g, .001, .5) if g.chance(.5) else None,
           beta=number(g, .3, 1) if g.chance(.5) else None,
           bias=number(g, .5, 2) if g.chance(.5) else None)


@generator("MeanVarianceNormalization")
def mvn(g, op, domain):
    x = g.pick(["f32"], -3, 3, least=4, most=4, empty=False)
    g.node(op, [x], axes=g.rng.choice([None, [0, 2, 3], [2, 3], [1, 2, 3]]))


# ---- Sampling and signals ----
@generator("AffineGrid")
def affine_grid(g, op, domain):
    nd = g.rng.choice([2, 2, 3])
    n = g.rng.randint(1, 2)
    size = [n, g.rng.randint(1, 2)] + [g.rng.randint(2, 5) for _ in range(nd)]
    g.node(op, [f32(g, [n, nd, nd + 1]), ints(g, size)],
           align_corners=g.rng.choice([None, 0, 1]))


@generator("GridSample")
def grid_sample(g, op, domain):
    nd = 2 if g.opset < 20 or g.chance(.7) else 3
    n = g.rng.randint(1, 2)
    x = f32(g, [n, g.rng.randint(1, 3)] + [g.rng.randint(2, 6)
                                           for _ in range(nd)], const=False)
    grid = f32(g, [n] + [g.rng.randint(1, 4) for _ in range(nd)] + [nd],
               -1.3, 1.3)
    new = g.opset >= 20
    modes = ["linear", "nearest"] + (["cubic"] if nd == 2 else []) if new \
        else ["bilinear", "nearest", "bicubic"]
    g.node(op, [x, grid], mode=g.rng.choice([None] + modes),
           padding_mode=g.rng.choice([None, "zeros", "border", "reflection"]),
           align_corners=g.rng.choice([None, 0, 1]))


@generator("HannWindow", "HammingWindow", "BlackmanWindow")
def signal_window(g, op, domain):
    g.node(op, [g.const(np.array(g.rng.randint(3, 20), np.int64))],
           periodic=g.rng.choice([None, 0, 1]),
           output_datatype=g.rng.choice([None, 1, 11]))


@generator("DFT")
def dft(g, op, domain):
    n = g.rng.choice([1, 2, 3, 4, 7, 8, 12, 16])
    part = g.rng.choice([1, 2])
    inverse = g.rng.choice([None, 0, 1])
    one = g.rng.choice([None, 0, 1]) if part == 1 and not inverse else None
    dims = [g.rng.randint(1, 3), n] + ([g.rng.randint(1, 4)]
                                       if g.chance(.4) else []) + [part]
    x = f32(g, dims, const=False)
    length = [g.const(np.array(g.rng.randint(1, n + 3), np.int64))] \
        if g.chance(.4) else []
    axis = g.rng.choice([1, 1, 1 - len(dims)])
    if g.opset < 20:
        g.node(op, [x] + length, inverse=inverse, onesided=one,
               axis=axis if g.chance(.5) and axis > 0 else None)
    else:
        ins = [x] + (length or [None]) + [g.const(np.array(axis, np.int64))]
        g.node(op, ins, inverse=inverse, onesided=one)


@generator("STFT")
def stft(g, op, domain):
    frame, step = g.rng.choice([4, 7, 8, 16]), g.rng.randint(1, 6)
    n = frame + step * g.rng.randint(0, 4) + g.rng.randint(0, 2)
    x = f32(g, [g.rng.randint(1, 2), n, 1], const=False)
    ins = [x, g.const(np.array(step, np.int64)), f32(g, [frame], const=True)]
    if g.chance(.5):
        ins.append(g.const(np.array(frame, np.int64)))
    g.node(op, ins, onesided=g.rng.choice([None, 0, 1]))


@generator("Resize", "Upsample")
def resize(g, op, domain):
    if op == "Upsample" and g.opset > 9 or op == "Resize" and g.opset < 10:
        raise Invalid("an opset without it")
    nd = g.rng.choice([1, 2, 2, 3])
    dims = [1, g.rng.randint(1, 2)] + [g.rng.randint(1, 6) for _ in range(nd)]
    x = f32(g, dims, const=False)
    # .72 and 2.32 meet no tie, which is a matter of rounding.
    scales = [1., 1.] + [g.rng.choice([.5, 1., 1.5, 2., 3., .72, 2.32])
                         for _ in range(nd)]
    mode = g.rng.choice([None, "nearest", "linear"] +
                        (["cubic"] if nd == 2 and g.opset >= 11 else []))
    if g.opset <= 10:
        scales = [max(s, 1.) if op == "Upsample" else s for s in scales]
        if mode == "linear" and nd != 2:
            mode = "nearest"
        if g.opset < 9:
            g.node(op, [x], scales=scales, mode=mode)
        else:
            g.node(op, [x, g.const(np.array(scales, np.float32))], mode=mode)
        return
    how = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
    attrs = {"mode": mode,
             "coordinate_transformation_mode": g.rng.choice([None] + how)}
    if mode in (None, "nearest"):
        attrs["nearest_mode"] = g.rng.choice(
            [None, "round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
    if mode == "cubic":
        attrs["cubic_coeff_a"] = g.rng.choice([None, -.5, -.75])
        attrs["exclude_outside"] = g.rng.choice([None, 0, 1])
    if g.opset >= 18 and mode in ("linear", "cubic") and g.chance(.3):
        attrs["antialias"] = 1
    roi = None if g.opset >= 13 else g.const(np.zeros(0, np.float32))
    # With align_corners, ONNX Runtime rounds a length that scales make
    # fractional; the standard's tests do not.
    if attrs["coordinate_transformation_mode"] != "align_corners" and \
            g.chance(.6):
        ins = [x, roi, g.const(np.array(scales, np.float32))]
    else:
        sizes = [1, dims[1]] + [max(1, int(d * s))
                                for d, s in zip(dims[2:], scales[2:])]
        empty = None if g.opset >= 13 else g.const(np.zeros(0, np.float32))
        ins = [x, roi, empty, ints(g, sizes)]
    g.node(op, ins, **attrs)


# ---- Losses ----
@generator("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def loss(g, op, domain):
    n, c = g.rng.randint(1, 4), g.rng.randint(1, 6)
    rest = [g.rng.randint(1, 3) for _ in range(g.rng.randint(0, 2))]
    x = f32(g, [n, c] + rest, const=False)
    ignore = g.rng.choice([None, 0])
    ins = [x, g.new(g.rng.choice(["i64", "i32"]), [n] + rest, 0, c - 1)]
    if ignore == 0 and ins[1].a.size and not ins[1].a.any():
        raise Invalid("all ignored")
    if g.chance(.4):
        ins.append(f32(g, [c], .1, 1))
    keep = [True, op[0] == "S" and g.chance(.3)]
    g.node(op, ins, keep=keep, ignore_index=ignore,
           reduction=g.rng.choice([None, "none", "mean", "sum"]))


# ---- Attention ----
@generator("Attention")
def attention(g, op, domain):
    b, s, kv = (g.rng.randint(1, n) for n in (2, 5, 6))
    heads, groups, d = g.rng.randint(1, 3), g.rng.randint(1, 2), \
        g.rng.choice([2, 4, 5])
    q_heads = heads * groups
    attrs = {}
    if g.chance(.5):
        q, k, v = (f32(g, [b, h, n, d], const=False) for h, n in
                   ((q_heads, s), (heads, kv), (heads, kv)))
    else:
        q, k, v = (f32(g, [b, n, h * d], const=False) for h, n in
                   ((q_heads, s), (heads, kv), (heads, kv)))
        attrs.update(q_num_heads=q_heads, kv_num_heads=heads)
    ins = [q, k, v]
    if g.chance(.3):
        ins.append(f32(g, g.rng.choice([[s, kv], [1, 1, s, kv],
                                        [b, q_heads, s, kv]])))
    attrs["is_causal"] = g.rng.choice([None, 0, 1])
    if g.chance(.3):
        attrs["scale"] = number(g, .1, 1)
    if g.chance(.2):
        attrs["softcap"] = number(g, .5, 3)
    g.node(op, ins, **attrs)


@generator("TensorScatter")
def tensor_scatter(g, op, domain):
    b, h, n, d = (g.rng.randint(1, k) for k in (3, 2, 6, 3))
    k = g.rng.randint(1, n)
    dims, more, axis = [b, h, n, d], [b, h, k, d], g.rng.choice([None, 2, -2])
    if g.chance(.4):
        del dims[1], more[1]
        axis = g.rng.choice([None, 1, -2])
    mode = g.rng.choice([None, "linear", "circular"])
    t = g.rng.choice(types(g, op))
    ins = [g.new(t, dims), g.new(t, more)]
    if g.chance(.8):
        ins.append(g.new("i64", [b], 0, n - 1 if mode == "circular"
                         else n - k, const=g.chance(.5)))
    g.node(op, ins, exact=True, mode=mode, axis=axis)


@generator("RotaryEmbedding")
def rotary(g, op, domain):
    b, s, h, d = g.rng.randint(1, 2), g.rng.randint(1, 4), \
        g.rng.randint(1, 3), g.rng.choice([2, 4, 8])
    attrs = {"interleaved": g.rng.choice([None, 0, 1])}
    if g.chance(.5):
        x = f32(g, [b, h, s, d], const=False)
    else:
        x = f32(g, [b, s, h * d], const=False)
        attrs["num_heads"] = h
    if g.chance(.5):
        cache = [[b, s, d // 2]] * 2
        ins = [x] + [f32(g, c) for c in cache]
    else:
        ins = [x, f32(g, [8, d // 2]), f32(g, [8, d // 2]),
               g.new("i64", [b, s], 0, 7, const=g.chance(.5))]
    g.node(op, ins, **attrs)


@generator(MS + ".Attention")
def ms_attention(g, op, domain):
    b, s, h, d = g.rng.randint(1, 2), g.rng.randint(1, 5), \
        g.rng.randint(1, 3), g.rng.choice([2, 4])
    e = g.rng.choice([4, 6])
    ins = [f32(g, [b, s, e], const=False), f32(g, [e, 3 * h * d], const=True),
           f32(g, [3 * h * d], const=True)]
    if g.chance(.3):
        ins.append(g.const(np.array([g.rng.randint(1, s) for _ in range(b)],
                                    np.int32)))
    g.node(op, ins, domain=domain, num_heads=h,
           unidirectional=g.rng.choice([None, 0, 1]) if len(ins) == 3
           else None)


@generator(MS + ".MultiHeadAttention")
def multi_head(g, op, domain):
    b, s, kv, h, d = g.rng.randint(1, 2), g.rng.randint(1, 4), \
        g.rng.randint(1, 5), g.rng.randint(1, 3), g.rng.choice([2, 4])
    ins = [f32(g, [b, n, h * d], const=False) for n in (s, kv, kv)]
    if g.chance(.4):
        ins.append(f32(g, [3 * h * d], const=True))
    g.node(op, ins, domain=domain, num_heads=h,
           scale=number(g, .1, 1) if g.chance(.3) else None)


@generator(MS + ".EmbedLayerNormalization")
def embed_norm(g, op, domain):
    b, s, e, n = g.rng.randint(1, 2), g.rng.randint(1, 4), \
        g.rng.choice([4, 5]), 7
    segment = g.chance(.5)
    ins = [g.new("i32", [b, s], 0, n - 1),
           g.new("i32", [b, s], 0, 1) if segment else None,
           f32(g, [n, e], const=True), f32(g, [8, e], const=True),
           f32(g, [2, e], const=True) if segment else None,
           f32(g, [e], const=True), f32(g, [e], const=True)]
    g.node(op, ins, 2, domain=domain, epsilon=1e-3)


@generator(MS + ".SkipLayerNormalization",
           MS + ".SkipSimplifiedLayerNormalization")
def skip_norm(g, op, domain):
    b, s, e = g.rng.randint(1, 2), g.rng.randint(1, 4), g.rng.choice([4, 7])
    ins = [f32(g, [b, s, e], const=False), f32(g, [b, s, e], const=False),
           f32(g, [e])]
    more = 2 if op == "SkipLayerNormalization" else 1
    for _ in range(g.rng.randint(0, more)):
        ins.append(f32(g, [e]))
    g.node(op, ins, domain=domain, epsilon=1e-3,
           keep=g.rng.choice([[True], [True, False, False, True]]))


# ---- Recurrence ----
ONE = ["Tanh", "Sigmoid", "Relu", "Softsign", "Affine", "LeakyRelu",
       "HardSigmoid", "Elu", "ScaledTanh", "ThresholdedRelu", "Softplus"]


@generator("RNN", "GRU", "LSTM")
def rnn(g, op, domain):
    s, b, i, h = (g.rng.randint(1, n) for n in (5, 3, 4, 4))
    way = g.rng.choice([None, "forward", "reverse", "bidirectional"])
    d = 2 if way == "bidirectional" else 1
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[op]
    layout = 1 if g.opset >= 14 and g.chance(.15) else 0
    attrs = {"hidden_size": h, "direction": way}
    x = f32(g, [b, s, i] if layout else [s, b, i], const=False)
    ins = [x, f32(g, [d, gates * h, i]), f32(g, [d, gates * h, h]),
           f32(g, [d, 2 * gates * h]) if g.chance(.6) else None, None]
    if g.chance(.3):
        ins[4] = g.const(np.array([g.rng.randint(1, s) for _ in range(b)],
                                  np.int32))
    state = [b, d, h] if layout else [d, b, h]
    for _ in range(2 if op == "LSTM" else 1):
        ins.append(f32(g, state) if g.chance(.5) else None)
    if op == "LSTM":
        ins.append(f32(g, [d, 3 * h]) if g.chance(.4) else None)
    if layout:
        attrs["layout"] = 1
    if g.chance(.3):
        n = {"RNN": 1, "GRU": 2, "LSTM": 3}[op] * d
        names = [g.rng.choice(ONE) for _ in range(n)]
        attrs["activations"] = names
        alpha = [n for n in names if n in ("Affine", "LeakyRelu", "ScaledTanh",
                                           "HardSigmoid", "Elu",
                                           "ThresholdedRelu")]
        beta = [n for n in names if n in ("Affine", "ScaledTanh",
                                          "HardSigmoid")]
        if alpha:
            attrs["activation_alpha"] = [number(g, .1, .9) for _ in alpha]
        if beta:
            attrs["activation_beta"] = [number(g, .1, .9) for _ in beta]
    if g.chance(.2):
        attrs["clip"] = number(g, .3, 2)
    if op == "GRU" and g.chance(.5):
        attrs["linear_before_reset"] = 1
    if op == "LSTM" and g.chance(.1):
        attrs["input_forget"] = 1
    while ins[-1] is None:
        ins.pop()
    keep = g.rng.choice([[True] * (3 if op == "LSTM" else 2), [True],
                         [False, True]])
    g.node(op, ins, keep=keep, **attrs)


# ---- Quantized ----
def scale(g, n=None, const=True, small=False):
    a = np.array([number(g, .02, .2) for _ in range(n or 1)], np.float32)
    if small:
        a /= 16
    return g.add(a if n else a.reshape([]), "const" if const else "input")


def zero(g, t, n=None):
    a = g.random(t, [n or 1], *((-5, 5) if t[0] == "i" else (120, 130)))
    return g.const(a if n else a.reshape([]))


def quantized(g, shape, t=None, const=None, weights=False):
    """Weights have 7 bits: without VNNI, ONNX Runtime saturates products."""
    t = t or g.rng.choice(["u8", "i8"])
    lo, hi = (0, 127) if t == "u8" and weights else (0, 255) if t == "u8" \
        else (-64, 63) if weights else (-128, 127)
    return g.new(t, list(shape), lo, hi, False, const)


@generator("DequantizeLinear", MS + ".DequantizeLinear")
def dequantize(g, op, domain):
    x = g.pick(["u8", "i8"] + (["i32"] if not domain else []) +
               (["u16", "i16"] if g.opset >= 21 and not domain else []),
               exact=True)
    t = text(x.a)
    if g.opset >= 13 and x.a.ndim > 0 and g.chance(.3):
        axis = axis_of(g, x.a.ndim) if not domain else \
            g.rng.randrange(x.a.ndim)
        n = x.a.shape[axis]
        ins = [x, scale(g, n)] + ([zero(g, t, n)] if t != "i32" else [])
        g.node(op, ins, domain=domain, axis=axis)
        return
    ins = [x, scale(g)]
    if t != "i32" and (domain or g.chance(.7)):
        ins.append(zero(g, t))
    g.node(op, ins, domain=domain)


@generator("QuantizeLinear", MS + ".QuantizeLinear")
def quantize(g, op, domain):
    x = g.pick(["f32"], -9, 9, exact=True)
    t = g.rng.choice(["u8", "i8"] + (["u16", "i16"] if g.opset >= 21 and
                                     not domain else []))
    if g.opset >= 13 and x.a.ndim > 0 and g.chance(.3):
        axis = axis_of(g, x.a.ndim) if not domain else \
            g.rng.randrange(x.a.ndim)
        n = x.a.shape[axis]
        g.node(op, [x, scale(g, n), zero(g, t, n)], domain=domain, axis=axis)
        return
    ins = [x, scale(g)]
    if domain or g.chance(.7):
        ins.append(zero(g, t))
    g.node(op, ins, domain=domain)


@generator("DynamicQuantizeLinear")
def dynamic_quantize(g, op, domain):
    x = g.pick(["f32"], -9, 9, exact=True, empty=False)
    if not x.a.any():
        raise Invalid("a scale of 0")
    g.node(op, [x], 3)


@generator("MatMulInteger")
def matmul_integer(g, op, domain):
    ba, bb = batches(g)
    m, k, n = (g.rng.choice([1, 2, 5, 8, 17]) for _ in range(3))
    a = quantized(g, ba + [m, k], const=False)
    b = quantized(g, bb + [k, n], weights=True)
    ins = [a, b]
    if g.chance(.7):
        ins.append(zero(g, text(a.a)))
        if g.chance(.6):
            ins.append(zero(g, text(b.a)))
    g.node(op, ins, exact=True)


@generator("ConvInteger")
def conv_integer(g, op, domain):
    c, o = g.rng.randint(1, 3), g.rng.randint(1, 4)
    dims = [1, c] + [g.rng.randint(3, 7) for _ in range(2)]
    x = quantized(g, dims, const=False)
    attrs = window(g, 2, dims[2:])
    w = quantized(g, [o, c] + attrs["kernel_shape"], weights=True)
    ins = [x, w]
    if g.chance(.7):
        ins.append(zero(g, text(x.a)))
        if g.chance(.5):
            ins.append(zero(g, text(w.a)))
    g.node(op, ins, exact=True, **attrs)


@generator("QLinearMatMul")
def qlinear_matmul(g, op, domain):
    ba, bb = batches(g)
    m, k, n = (g.rng.choice([1, 2, 5, 8, 17]) for _ in range(3))
    t = g.rng.choice(["u8", "i8"])
    g.node(op, [quantized(g, ba + [m, k], t, False), scale(g), zero(g, t),
                quantized(g, bb + [k, n], t, weights=True), scale(g),
                zero(g, t), scale(g), zero(g, t)])


@generator("QLinearConv", MS + ".QLinearConv")
def qlinear_conv(g, op, domain):
    c, o = g.rng.randint(1, 4), g.rng.randint(1, 5)
    dims = [1, c] + [g.rng.randint(3, 7) for _ in range(2)]
    attrs = window(g, 2, dims[2:])
    kernel = attrs["kernel_shape"]
    last = domain and g.chance(.6)
    if last:
        dims = [1] + dims[2:] + [c]
        attrs["channels_last"] = 1
    t, tw = g.rng.choice(["u8", "i8"]), g.rng.choice(["u8", "i8"])
    if t == "i8":
        tw = "i8"
    n = o if g.chance(.3) and tw == "i8" else None
    zw = g.const(np.zeros(n, np.int8)) if n else zero(g, tw)
    ins = [quantized(g, dims, t, False), scale(g), zero(g, t),
           quantized(g, [o, c] + kernel, tw, True, True), scale(g, n), zw,
           scale(g), zero(g, t)]
    if g.chance(.5):
        ins.append(g.const(g.random("i32", [o], -90, 90)))
    g.node(op, ins, domain=domain, **attrs)


def quant_params(g, t):
    return [scale(g), zero(g, t)]


@generator(MS + ".QLinearAdd", MS + ".QLinearMul")
def qlinear_binary(g, op, domain):
    t = g.rng.choice(["u8", "i8"])
    dims = g.shape(1, 4, empty=False)
    a, b = quantized(g, dims, t, False), quantized(g, g.partner(dims), t)
    if b.a.ndim > a.a.ndim:
        a, b = b, a
    g.node(op, [a] + quant_params(g, t) + [b] + quant_params(g, t) +
           quant_params(g, t), domain=domain)


@generator(MS + ".QLinearSigmoid", MS + ".QLinearLeakyRelu",
           MS + ".QLinearReduceMean", MS + ".QLinearSoftmax",
           MS + ".QLinearGlobalAveragePool", MS + ".QLinearAveragePool")
def qlinear_unary(g, op, domain):
    t = g.rng.choice(["u8", "i8"])
    attrs = {}
    dims = g.shape(1, 4, empty=False)
    if op == "QLinearLeakyRelu":
        attrs = {"alpha": number(g, .05, .3)}
    if op == "QLinearReduceMean":
        attrs = {"axes": [axis_of(g, len(dims))],
                 "keepdims": g.rng.choice([0, 1])}
    if op == "QLinearSoftmax":
        attrs = {"axis": axis_of(g, len(dims)), "opset": 13}
    if op.endswith("Pool"):
        last = g.rng.randint(0, 1)
        dims = [1, 3, g.rng.randint(3, 6), g.rng.randint(3, 6)]
        attrs = {"channels_last": last}
        if op == "QLinearAveragePool":
            attrs.update(window(g, 2, dims[2:], True, False))
        if last:
            dims = [dims[0]] + dims[2:] + [dims[1]]
    g.node(op, [quantized(g, dims, t, False)] + quant_params(g, t) +
           quant_params(g, t), domain=domain, **attrs)


@generator(MS + ".QLinearConcat")
def qlinear_concat(g, op, domain):
    t = g.rng.choice(["u8", "i8"])
    dims = g.shape(1, 4, empty=False)
    axis = g.rng.randrange(len(dims))
    ins = quant_params(g, t)
    for _ in range(g.rng.randint(1, 3)):
        dims = list(dims)
        dims[axis] = g.rng.randint(1, 4)
        ins += [quantized(g, dims, t, False)] + quant_params(g, t)
    g.node(op, ins, domain=domain, axis=axis)


@generator(MS + ".QLinearWhere")
def qlinear_where(g, op, domain):
    t = g.rng.choice(["u8", "i8"])
    dims = g.shape(1, 3, empty=False)
    ins = [g.new("bool", dims)]
    for _ in range(2):
        ins += [quantized(g, dims, t, False)] + quant_params(g, t)
    g.node(op, ins + quant_params(g, t), domain=domain)


@generator(MS + ".QGemm")
def qgemm(g, op, domain):
    m, k, n = (g.rng.choice([1, 2, 5, 8, 17]) for _ in range(3))
    ta, tb = g.rng.randint(0, 1), g.rng.randint(0, 1)
    t = g.rng.choice(["u8", "i8"])
    ins = [quantized(g, [k, m] if ta else [m, k], t, False)] + \
        quant_params(g, t) + \
        [quantized(g, [n, k] if tb else [k, n], "i8", True, True), scale(g),
         g.const(np.array(0, np.int8))]
    ins.append(g.const(g.random("i32", [n], -90, 90)) if g.chance(.5)
               else None)
    if g.chance(.7):
        ins += quant_params(g, t)
    while ins[-1] is None:
        ins.pop()
    g.node(op, ins, domain=domain, transA=ta, transB=tb, alpha=1.0)


@generator(MS + ".MatMulIntegerToFloat")
def matmul_integer_to_float(g, op, domain):
    m, k, n = (g.rng.choice([1, 2, 5, 8, 17]) for _ in range(3))
    t = g.rng.choice(["u8", "i8"])
    a, b = quantized(g, [m, k], t, False), quantized(g, [k, n], "i8", True,
                                                     True)
    ins = [a, b, scale(g), scale(g)]
    if g.chance(.6):
        ins += [zero(g, t), zero(g, "i8")]
        if g.chance(.5):
            ins.append(f32(g, [n], const=True))
    g.node(op, ins, domain=domain)


@generator(MS + ".DynamicQuantizeMatMul")
def dynamic_quantize_matmul(g, op, domain):
    m, k, n = (g.rng.choice([1, 2, 5, 8, 17]) for _ in range(3))
    a = f32(g, [m, k], const=False)
    ins = [a, quantized(g, [k, n], "i8", True, True), scale(g)]
    if g.chance(.5):
        ins.append(zero(g, "i8"))
        if g.chance(.5):
            ins.append(f32(g, [n], const=True))
    g.node(op, ins, domain=domain)


@generator(MS + ".QAttention")
def qattention(g, op, domain):
    b, s, h, d = g.rng.randint(1, 2), g.rng.randint(1, 5), \
        g.rng.randint(1, 3), g.rng.choice([2, 4])
    e, t = g.rng.choice([4, 6]), "u8"
    ins = [quantized(g, [b, s, e], t, False),
           quantized(g, [e, 3 * h * d], "i8", True, True),
           f32(g, [3 * h * d], const=True), scale(g, small=True),
           scale(g, small=True), None,
           zero(g, t), g.const(np.array(0, np.int8))]
    g.node(op, ins, domain=domain, num_heads=h,
           unidirectional=g.rng.choice([None, 0, 1]))


@generator(MS + ".QEmbedLayerNormalization")
def qembed_norm(g, op, domain):
    b, s, e, n = g.rng.randint(1, 2), g.rng.randint(1, 4), 4, 7
    tables = [quantized(g, dims, "u8", True)
              for dims in ([n, e], [8, e], [2, e], [e], [e])]
    ins = [g.new("i32", [b, s], 0, n - 1), g.new("i32", [b, s], 0, 1)] + \
        tables + [None] + [scale(g) for _ in tables] + \
        [zero(g, "u8") for _ in tables]
    g.node(op, ins, 2, domain=domain, epsilon=1e-3)
