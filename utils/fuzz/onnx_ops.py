"""onnx_ops.py - how to draw a node of an operator: one generator each, or one for
a family. GENERATORS maps "Op" and "com.microsoft.Op" to a function of the graph,
which picks operands and attributes and adds the node."""
import numpy as np

from onnx_graph import (DTYPES, FLOATS, INTS, Invalid, TEXT, is_float, text,
                        types_of, wide)

GENERATORS = {}
MS = "com.microsoft"


# Integers of the whole range make sense to these.
FULL = {"Abs", "And", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor",
        "BitShift", "Cast", "Concat", "Constant", "Equal", "Gather", "Greater",
        "Identity", "Less", "Max", "Min", "Neg", "Sign", "Slice", "Transpose",
        "Where", "Xor"}


def generator(*names):
    def wrap(f):
        for n in names:
            op = n.split(".")[-1]
            domain = n[:-len(op) - 1]

            def draw(g, op=op, domain=domain):
                g.full = op in FULL
                f(g, op, domain)
            GENERATORS[n] = draw
        return f
    return wrap


def types(g, op, port=0, only=None, fallback="f32"):
    """Types of a standard operator's input."""
    try:
        found = types_of(op, "", g.opset, port)
    except Exception:  # noqa: BLE001
        found = [fallback]
    found = [t for t in found if only is None or t in only]
    if not found:
        raise Invalid("no element type")
    few = [t for t in found if t != "bf16"]
    return few if few and g.chance(.85) else found


def axis_of(g, rank, negative=True):
    a = g.rng.randrange(rank)
    return a - rank if negative and g.chance(.3) else a


def ints(g, values, dtype=np.int64):
    return g.const(np.array(list(values), dtype))


# ---- Elementwise ----
# name: (lowest, highest, exact, jumps, attributes)
def number(g, lo, hi):
    return round(g.rng.uniform(lo, hi), 3)


UNARY = {
    "Abs": (-2, 2, True, False, ()), "Acos": (-1, 1, False, False, ()),
    "Acosh": (1, 4, False, False, ()), "Asin": (-1, 1, False, False, ()),
    "Asinh": (-2, 2, False, False, ()), "Atan": (-2, 2, False, False, ()),
    "Atanh": (-.9, .9, False, False, ()),
    "BitwiseNot": (-2, 2, True, False, ()), "Ceil": (-9, 9, True, True, ()),
    "Celu": (-2, 2, False, False, (("alpha", .5, 2),)),
    "Cos": (-9, 9, False, False, ()), "Cosh": (-2, 2, False, False, ()),
    "Elu": (-2, 2, False, False, (("alpha", .5, 2),)),
    "Erf": (-2, 2, False, False, ()), "Exp": (-2, 2, False, False, ()),
    "Floor": (-9, 9, True, True, ()),
    "HardSigmoid": (-4, 4, False, False, (("alpha", .1, .5), ("beta", .2, .6))),
    "IsNaN": (-2, 2, True, True, ()),
    "LeakyRelu": (-2, 2, False, False, (("alpha", -.5, .5),)),
    "Log": (.05, 4, False, False, ()), "Neg": (-2, 2, True, False, ()),
    "Not": (0, 1, True, False, ()), "Reciprocal": (.2, 3, False, False, ()),
    "Relu": (-2, 2, True, False, ()), "Round": (-9, 9, True, True, ()),
    "Selu": (-2, 2, False, False, (("alpha", .5, 2), ("gamma", .5, 2))),
    "Shrink": (-2, 2, False, True, (("lambd", .1, 1), ("bias", 0, .5))),
    "Sigmoid": (-4, 4, False, False, ()), "Sign": (-2, 2, True, True, ()),
    "Sin": (-9, 9, False, False, ()), "Sinh": (-2, 2, False, False, ()),
    "Softplus": (-4, 4, False, False, ()),
    "Softsign": (-4, 4, False, False, ()), "Sqrt": (0, 4, False, False, ()),
    "Tan": (-1.2, 1.2, False, False, ()), "Tanh": (-2, 2, False, False, ()),
    "ThresholdedRelu": (-2, 2, False, True, (("alpha", 0, 1),)),
    "HardSwish": (-4, 4, False, False, ()),
    "Mish": (-3, 3, False, False, ()),
    "Identity": (-2, 2, True, False, ()),
    "Swish": (-3, 3, False, False, (("alpha", .5, 2),)),
}


@generator(*UNARY)
def unary(g, op, domain):
    lo, hi, exact, jumps, attrs = UNARY[op]
    raw = g.chance(.15)  # any value: NaN where the function has none
    ts = types(g, op)
    if op in ("HardSwish", "Shrink"):  # f64 is computed in f32 elsewhere
        ts = ["f32"]
    bounded = not raw and ts[0] != "bool" and (lo, hi) != (-2, 2)
    x = g.pick(ts, lo if bounded else None, hi if bounded else None,
               exact=jumps)
    g.node(op, [x], exact=exact, **{n: number(g, a, b) for n, a, b in attrs
                                    if g.chance(.6)})


@generator("IsInf")
def is_inf(g, op, domain):
    x = g.pick(types(g, op), exact=True)
    g.node(op, [x], exact=True,
           detect_negative=g.rng.choice([None, 0, 1]),
           detect_positive=g.rng.choice([None, 0, 1]))


@generator("Gelu", MS + ".Gelu", MS + ".QuickGelu")
def gelu(g, op, domain):
    attrs = {}
    if op == "QuickGelu":
        attrs = {"alpha": number(g, .5, 2)} if g.chance(.5) else {}
    elif not domain and g.chance(.5):
        attrs = {"approximate": g.rng.choice(["none", "tanh"])}
    # The reference's erf of f64 has 8 digits.
    ts = [t for t in types(g, op) if t != "f64"] if not domain else ["f32"]
    x = g.pick(ts or ["f32"], -3, 3)
    g.node(op, [x], domain=domain, **attrs)


@generator(MS + ".BiasGelu", MS + ".FastGelu")
def bias_gelu(g, op, domain):
    x = g.pick(["f32"], -3, 3, least=1)
    bias = g.new("f32", x.a.shape[-1:], special=False)
    g.node(op, [x, bias] if op == "BiasGelu" or g.chance(.6) else [x],
           domain=domain)


def pair(g, ts, exact=False, **want):
    """Two operands that broadcast, in either order."""
    a = g.pick(ts, exact=exact, **want)
    same = [text(a.a)]
    b = None
    if g.chance(.4):
        for v in g.values[-8:]:
            if text(v.a) in same and v is not a and (v.exact or not exact):
                try:
                    np.broadcast_shapes(a.a.shape, v.a.shape)
                    b = v if v.kind != "const" else None
                except ValueError:
                    continue
    if b is None:
        b = g.new(same[0], g.partner(list(a.a.shape)))
    return (a, b) if g.chance(.6) else (b, a)


@generator("Add", "Sub", "Mul", "And", "Or", "Xor", "BitwiseAnd", "BitwiseOr",
           "BitwiseXor", "Equal", "Less", "LessOrEqual", "Greater",
           "GreaterOrEqual")
def binary(g, op, domain):
    jumps = op in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
    a, b = pair(g, types(g, op), jumps)
    g.node(op, [a, b], exact=jumps or not is_float(a.a))


@generator("Div")
def div(g, op, domain):
    ts = types(g, op)
    a = g.pick(ts)
    b = g.new(text(a.a), g.partner(list(a.a.shape)), special=False)
    if not is_float(b.a) or g.chance(.9):
        if b.a.size:
            b.a[np.abs(wide(b.a)) < .1] = 1
        if not is_float(b.a) and text(b.a)[0] == "i":
            b.a[b.a == -1] = 3  # the least number over -1
    g.node(op, [a, b], exact=not is_float(a.a))


@generator("Mod")
def mod(g, op, domain):
    ts = types(g, op)
    a = g.pick(ts, exact=True, finite=True)
    b = g.new(text(a.a), g.partner(list(a.a.shape)), special=False)
    if b.a.size:
        b.a[np.abs(wide(b.a)) < .1] = 1
        if text(b.a)[0] == "i":
            b.a[b.a == -1] = 3
    if is_float(a.a):
        g.node(op, [a, b], fmod=1)
    else:
        g.node(op, [a, b], exact=True, fmod=g.rng.choice([None, 0, 1]))


@generator("Pow")
def power(g, op, domain):
    a = g.pick(types(g, op, 0), finite=True)
    kinds = types(g, op, 1) if g.opset >= 12 else [text(a.a)]
    b = g.new(g.rng.choice(kinds), g.partner(list(a.a.shape)), 0, 3, False)
    if g.chance(.5):
        b.a[...] = g.rng.choice([0, 1, 2, 2, 3])
    if not is_float(a.a) and is_float(b.a) and (a.a < 0).any():
        b.a[...] = np.trunc(b.a)  # NaN as an integer is anything
    g.node(op, [a, b], exact=not is_float(a.a) and not is_float(b.a))


@generator("BitShift")
def bit_shift(g, op, domain):
    a = g.pick([t for t in INTS if t[0] == "u"], exact=True)
    b = g.new(text(a.a), g.partner(list(a.a.shape)), 0, 7)
    g.node(op, [a, b], exact=True, direction=g.rng.choice(["LEFT", "RIGHT"]))


@generator("PRelu")
def prelu(g, op, domain):
    x = g.pick(types(g, op, 0, FLOATS + INTS), finite=True)
    n = g.rng.randint(0, x.a.ndim)
    slope = [d if g.chance(.6) else 1 for d in x.a.shape[n:]]
    g.node(op, [x, g.new(text(x.a), slope, special=False)])


@generator("Max", "Min", "Sum", "Mean")
def variadic(g, op, domain):
    a = g.pick(types(g, op))
    if op in ("Sum", "Mean") and a.a.size and not np.isfinite(wide(a.a)).all():
        raise Invalid("values")
    args = [a] + [g.new(text(a.a), g.partner(list(a.a.shape)))
                  for _ in range(g.rng.choice([0, 1, 1, 2, 3]))]
    g.rng.shuffle(args)
    g.node(op, args, exact=op in ("Max", "Min"))


@generator("Where")
def where(g, op, domain):
    a, b = pair(g, types(g, op, 1))
    c = g.pick(["bool"], shape=g.partner(
        list(np.broadcast_shapes(a.a.shape, b.a.shape))))
    g.node(op, [c, a, b], exact=True)


def castable(g, x, to):
    """Whether a cast of these values is defined and has no rounding to judge."""
    w = wide(x.a)
    if not is_float(x.a) or to in FLOATS + ["bool"] or not x.a.size:
        return True
    info = np.iinfo(DTYPES[to])
    return (np.isfinite(w).all() and w.min() > info.min and
            w.max() < float(info.max) * .99)


@generator("Cast", "CastLike")
def cast(g, op, domain):
    ts = types(g, op)
    x = g.pick(ts, exact=True)
    to = g.rng.choice(list(DTYPES))
    if not castable(g, x, to):
        raise Invalid("values")
    if op == "Cast":
        import onnx
        g.node(op, [x], exact=True, to=onnx.helper.np_dtype_to_tensor_dtype(
            np.dtype(DTYPES[to])))
    else:
        g.node(op, [x, g.new(to, [2], special=False)], exact=True)


@generator("BitCast")
def bit_cast(g, op, domain):
    import onnx
    x = g.pick([t for t in DTYPES if t not in ("bool", "bf16")], exact=True)
    to = g.rng.choice([t for t in INTS if np.dtype(DTYPES[t]).itemsize ==
                       x.a.dtype.itemsize])
    g.node(op, [x], exact=True, to=onnx.helper.np_dtype_to_tensor_dtype(
        np.dtype(DTYPES[to])))


@generator("Clip")
def clip(g, op, domain):
    x = g.pick(types(g, op))
    lo, hi = sorted([number(g, -2, 2), number(g, -2, 2)])
    if text(x.a)[0] == "u":
        lo, hi = abs(lo), abs(lo) + abs(hi)
    if g.opset < 11:
        g.node(op, [x], exact=True, min=lo if g.chance(.7) else None,
               max=hi if g.chance(.7) else None)
        return
    t = DTYPES[text(x.a)]
    ins = [x] + [g.add(np.array(v, t), "const" if g.chance(.6) else "input")
                 if g.chance(.7) else None for v in (lo, hi)]
    while ins[-1] is None:
        ins.pop()
    g.node(op, ins, exact=True)


@generator("Dropout")
def dropout(g, op, domain):
    x = g.pick(types(g, op))
    keep = [True, g.chance(.3) and g.opset >= 12]
    if g.opset < 12:
        g.node(op, [x], exact=True, ratio=.3 if g.chance(.5) else None)
    else:
        ins = [x] + ([g.const(np.array(.4, np.float32))] if g.chance(.5)
                     else [])
        g.node(op, ins, keep=keep, exact=True)


# ---- Constants and shapes ----
@generator("Constant")
def constant(g, op, domain):
    import onnx
    a = g.random(g.rng.choice(list(DTYPES)), g.shape())
    attrs = {"value": onnx.numpy_helper.from_array(a)}
    if g.opset >= 12 and g.chance(.4):
        attrs = g.rng.choice([{"value_float": 1.5}, {"value_int": 7},
                              {"value_floats": [1., 2.5]},
                              {"value_ints": [3, -4, 5]}])
    g.node(op, [], exact=True, **attrs)


@generator("ConstantOfShape")
def constant_of_shape(g, op, domain):
    import onnx
    a = g.random(g.rng.choice([t for t in DTYPES if t != "bf16"]), [1])
    g.node(op, [ints(g, g.shape())], exact=True,
           value=onnx.numpy_helper.from_array(a) if g.chance(.8) else None)


@generator("EyeLike")
def eye_like(g, op, domain):
    x = g.pick(types(g, op), least=2, most=2)
    g.node(op, [x], exact=True, k=g.rng.choice([None, 0, 1, -1, 3]),
           dtype=g.rng.choice([None, 1, 7, 6]))


@generator("Range")
def range_(g, op, domain):
    t = DTYPES[g.rng.choice(["f32", "i32", "i64"])]
    start, step = g.rng.randint(-5, 5), g.rng.choice([1, 2, -1, -3])
    limit = start + step * g.rng.randint(-1, 9)
    g.node(op, [g.const(np.array(v, t)) for v in (start, limit, step)],
           exact=True)


@generator("Shape", "Size")
def shape_of(g, op, domain):
    x = g.pick(types(g, op))
    part = op == "Shape" and g.opset >= 15
    g.node(op, [x], exact=True,
           start=g.rng.choice([None, 0, 1, -2]) if part else None,
           end=g.rng.choice([None, 1, 2, -1]) if part else None)


@generator("OneHot")
def one_hot(g, op, domain):
    i = g.pick(["i64", "i32"], -4, 6, most=3, exact=True)
    depth = g.rng.randint(1, 7)
    values = g.new(g.rng.choice(["f32", "i64", "i32"]), [2], special=False)
    t = g.rng.choice([np.int64, np.int32, np.float32])
    g.node(op, [i, g.const(np.array([depth] if g.chance(.3) else depth, t)),
                values], exact=True,
           axis=axis_of(g, i.a.ndim + 1) if g.chance(.6) else None)


@generator("Trilu")
def trilu(g, op, domain):
    x = g.pick(types(g, op), least=2)
    ins = [x]
    if g.chance(.5):
        ins.append(g.const(np.array(g.rng.randint(-3, 3), np.int64)))
    g.node(op, ins, exact=True, upper=g.rng.choice([None, 0, 1]))


@generator("NonZero")
def non_zero(g, op, domain):
    x = g.const(g.random(g.rng.choice(["f32", "i32", "bool"]),
                         g.shape(1, 3), special=False))
    g.node(op, [x], exact=True)


# ---- Moves ----
@generator("Concat")
def concat(g, op, domain):
    a = g.pick(types(g, op), least=1)
    axis = axis_of(g, a.a.ndim, g.opset >= 11)
    args = [a]
    for _ in range(g.rng.choice([0, 1, 1, 2, 3])):
        dims = list(a.a.shape)
        dims[axis] = g.rng.choice([0, 1, 2, 3, 5])
        args.append(a if g.chance(.15) else g.new(text(a.a), dims))
    g.rng.shuffle(args)
    g.node(op, args, exact=True, axis=axis)


@generator("DepthToSpace", "SpaceToDepth")
def blocks(g, op, domain):
    b = g.rng.choice([1, 2, 3])
    n, c, h, w = (g.rng.randint(1, 3) for _ in range(4))
    dims = [n, c * b * b, h, w] if op[0] == "D" else [n, c, h * b, w * b]
    x = g.new(g.rng.choice(types(g, op)), dims)
    mode = g.rng.choice([None, "DCR", "CRD"]) if op[0] == "D" and \
        g.opset >= 11 else None
    g.node(op, [x], exact=True, blocksize=b, mode=mode)


@generator("Expand")
def expand(g, op, domain):
    x = g.pick(types(g, op))
    to = g.partner(list(x.a.shape))
    g.node(op, [x, ints(g, to)], exact=True)


@generator("Flatten")
def flatten(g, op, domain):
    x = g.pick(types(g, op))
    n = x.a.ndim
    g.node(op, [x], exact=True, axis=g.rng.choice(
        [None] if n == 0 else [None, g.rng.randint(0, n)] +
        ([-g.rng.randint(1, n)] if g.opset >= 11 else [])))


@generator("Pad")
def pad(g, op, domain):
    mode = g.rng.choice([None, "constant", "edge", "reflect"] +
                        (["wrap"] if g.opset >= 19 else []))
    x = g.pick(types(g, op), least=1, empty=mode in (None, "constant"))
    n = x.a.ndim
    axes = list(range(n))
    if g.opset >= 18 and g.chance(.4):
        axes = sorted(g.rng.sample(axes, g.rng.randint(1, n)))
    most = [min(3, x.a.shape[a] - 1) if mode == "reflect" else
            min(3, x.a.shape[a]) if mode == "wrap" else 3 for a in axes]
    pads = [g.rng.randint(0, max(m, 0)) for m in most + most]
    if g.chance(.2):
        k = g.rng.randrange(len(pads))
        if x.a.shape[axes[k % len(axes)]] > 1:
            pads[k] = -1
    if g.opset < 11:
        g.node(op, [x], exact=True, mode=mode, pads=pads,
               value=number(g, -1, 1) if g.chance(.5) else None)
        return
    ins = [x, ints(g, pads), None, None]
    if g.chance(.5):
        ins[2] = g.new(text(x.a), [], special=False, const=True)
    if len(axes) < n:
        ins[3] = ints(g, [a - n if g.chance(.3) else a for a in axes])
    while ins[-1] is None:
        ins.pop()
    g.node(op, ins, exact=True, mode=mode)


def factors(g, n):
    dims = []
    for _ in range(g.rng.randint(0, 4)):
        if not n:
            break
        d = g.rng.choice([d for d in range(1, min(n, 40) + 1) if n % d == 0])
        dims.append(d)
        n //= d
    if n != 1 or not dims and g.chance(.5):
        dims.append(n)
    g.rng.shuffle(dims)
    return dims


@generator("Reshape")
def reshape(g, op, domain):
    x = g.pick(types(g, op))
    dims = factors(g, x.a.size)
    zero = None
    if dims and x.a.size and g.chance(.4):
        dims[g.rng.randrange(len(dims))] = -1
    elif dims and x.a.ndim and dims[0] == x.a.shape[0] and g.chance(.5) and \
            dims[0]:
        dims[0] = 0
    if 0 in dims and not x.a.size:
        if g.opset < 14:
            raise Invalid("an empty shape")
        zero = 1
    g.node(op, [x, ints(g, dims)], exact=True, allowzero=zero)


@generator("CenterCropPad")
def center_crop_pad(g, op, domain):
    x = g.pick(types(g, op), least=1)
    axes = g.rng.sample(range(x.a.ndim), g.rng.randint(1, x.a.ndim))
    everything = g.chance(.5)
    n = x.a.ndim if everything else len(axes)
    g.node(op, [x, ints(g, [g.rng.randint(1, 7) for _ in range(n)])],
           exact=True, axes=None if everything else axes)


@generator("Compress")
def compress(g, op, domain):
    x = g.pick(types(g, op), least=1, empty=False)
    axis = axis_of(g, x.a.ndim, g.opset >= 11) if g.chance(.7) else None
    n = x.a.size if axis is None else x.a.shape[axis]
    c = np.array([g.chance(.5) for _ in range(g.rng.randint(1, n))])
    g.node(op, [x, g.const(c)], exact=True, axis=axis)


@generator("Slice")
def slice_(g, op, domain):
    x = g.pick(types(g, op), least=1)
    n = x.a.ndim
    axes = sorted(g.rng.sample(range(n), g.rng.randint(1, n)))
    starts, ends, steps = [], [], []
    for a in axes:
        d = x.a.shape[a]
        steps.append(g.rng.choice([1, 1, 1, 2, 3, -1, -2]) if g.opset >= 10
                     else 1)
        s, e = g.rng.randint(-d - 1, d + 1), g.rng.randint(-d - 1, d + 1)
        if g.chance(.5):
            s, e = (0, d) if steps[-1] > 0 else (d, -d - 1)
        if g.chance(.1):
            e = 2 ** 31 - 1 if steps[-1] > 0 else -2 ** 31
        starts.append(s)
        ends.append(e)
    if g.opset < 10:
        g.node(op, [x], exact=True, starts=starts, ends=ends, axes=axes)
        return
    t = g.rng.choice([np.int64, np.int32])
    ins = [x, ints(g, starts, t), ints(g, ends, t)]
    if len(axes) < n or g.chance(.5) or steps != [1] * n:
        ins.append(ints(g, [a - n if g.chance(.3) else a for a in axes], t))
        if steps != [1] * len(axes):
            ins.append(ints(g, steps, t))
    g.node(op, ins, exact=True)


@generator("Split")
def split(g, op, domain):
    x = g.pick(types(g, op), least=1)
    axis = axis_of(g, x.a.ndim, g.opset >= 11)
    d, n = x.a.shape[axis], g.rng.randint(1, 3)
    sizes = [0] * n
    for _ in range(d):
        sizes[g.rng.randrange(n)] += 1
    if d and g.chance(.4) and (g.opset >= 18 or d % n == 0):
        many = {"num_outputs": n} if g.opset >= 18 else {}
        if -(-d // n) * (n - 1) >= d:
            raise Invalid("an empty piece")
        g.node(op, [x], n, exact=True, axis=axis, **many)
    elif g.opset < 13:
        g.node(op, [x], n, exact=True, axis=axis, split=sizes)
    else:
        g.node(op, [x, ints(g, sizes)], n, exact=True, axis=axis)


def listed(g, op, x, axes, since, **attrs):
    """A node whose axes are an attribute before opset `since`."""
    if g.opset < since:
        return g.node(op, [x], exact=True, axes=axes, **attrs)
    return g.node(op, [x] + ([ints(g, axes)] if axes is not None else []),
                  exact=True, **attrs)


@generator("Squeeze")
def squeeze(g, op, domain):
    dims = g.shape(0, 3)
    for _ in range(g.rng.randint(1, 2)):
        dims.insert(g.rng.randint(0, len(dims)), 1)
    x = g.new(g.rng.choice(types(g, op)), dims)
    ones = [i for i, d in enumerate(dims) if d == 1]
    axes = g.rng.sample(ones, g.rng.randint(1, len(ones)))
    if g.opset >= 11:
        axes = [a - len(dims) if g.chance(.3) else a for a in axes]
    listed(g, op, x, axes if g.chance(.8) else None, 13)


@generator("Unsqueeze")
def unsqueeze(g, op, domain):
    x = g.pick(types(g, op), most=3)
    n = g.rng.randint(1, 2)
    axes = g.rng.sample(range(x.a.ndim + n), n)
    if g.opset >= 11:
        axes = [a - x.a.ndim - n if g.chance(.3) else a for a in axes]
    listed(g, op, x, axes, 13)


@generator("Tile")
def tile(g, op, domain):
    x = g.pick(types(g, op), most=5)
    g.node(op, [x, ints(g, [g.rng.choice([1, 1, 2, 3, 0] if g.chance(.1) else
                                         [1, 1, 2, 3]) for _ in x.a.shape])],
           exact=True)


@generator("Transpose")
def transpose(g, op, domain):
    x = g.pick(types(g, op))
    perm = list(range(x.a.ndim))
    g.rng.shuffle(perm)
    g.node(op, [x], exact=True, perm=perm if g.chance(.85) else None)


# ---- Indices ----
def indices(g, shape, dim, const=None):
    if dim == 0:
        raise Invalid("nothing to pick from")
    v = g.new(g.rng.choice(["i64", "i64", "i32"]), shape,
              -dim if g.opset >= 11 else 0, dim - 1, const=const)
    return v


@generator("Gather")
def gather(g, op, domain):
    x = g.pick(types(g, op), least=1)
    axis = axis_of(g, x.a.ndim)
    i = indices(g, g.shape(0, 2), x.a.shape[axis])
    g.node(op, [x, i], exact=True, axis=axis if g.chance(.8) or axis != 0
           else None)


@generator("GatherElements")
def gather_elements(g, op, domain):
    x = g.pick(types(g, op), least=1)
    axis = axis_of(g, x.a.ndim)
    dims = [g.rng.randint(min(d, 1), d) for d in x.a.shape]
    dims[axis] = g.rng.randint(1, 6)
    g.node(op, [x, indices(g, dims, x.a.shape[axis])], exact=True, axis=axis)


def tuples(g, shape, n, outer, const=True):
    """Index tuples of n dims into `shape`."""
    if 0 in shape[:n]:
        raise Invalid("nothing to pick from")
    a = np.stack([g.random("i64", outer, -d if g.opset >= 11 else 0, d - 1)
                  for d in shape[:n]], -1)
    return g.add(a, "const" if const else "input")


@generator("GatherND")
def gather_nd(g, op, domain):
    b = g.rng.choice([0, 0, 1]) if g.opset >= 12 else 0
    x = g.pick(types(g, op), least=b + 1)
    n = g.rng.randint(1, x.a.ndim - b)
    outer = list(x.a.shape[:b]) + g.shape(0, 2)
    i = tuples(g, x.a.shape[b:], n, outer, g.chance(.5))
    g.node(op, [x, i], exact=True, batch_dims=b if b or g.chance(.3) else None)


@generator("ScatterND")
def scatter_nd(g, op, domain):
    x = g.pick(types(g, op), least=1, finite=True)
    n = g.rng.randint(1, x.a.ndim)
    outer = g.shape(1, 2)
    kinds = [None] + (["none", "add", "mul"] if g.opset >= 16 else []) + \
        (["max", "min"] if g.opset >= 18 else [])
    how = g.rng.choice(kinds)
    i = tuples(g, x.a.shape, n, outer, g.chance(.6))
    if how in (None, "none"):  # no tuple twice
        seen = {tuple(t % np.array(x.a.shape[:n]))
                for t in i.a.reshape(-1, n)}
        if len(seen) < i.a.size // n:
            raise Invalid("an element twice")
    if text(x.a) == "bool" and how not in (None, "none"):
        raise Invalid("element type")
    u = g.new(text(x.a), outer + list(x.a.shape[n:]), special=False)
    g.node(op, [x, i, u], exact=how in (None, "none", "max", "min") or
           not is_float(x.a), reduction=how)


@generator("ScatterElements", "Scatter")
def scatter_elements(g, op, domain):
    if op == "Scatter" and g.opset > 10:
        raise Invalid("an opset without it")
    x = g.pick(types(g, op), least=1, finite=True)
    axis = axis_of(g, x.a.ndim)
    dims = [g.rng.randint(min(d, 1), d) for d in x.a.shape]
    kinds = [None] + (["none", "add", "mul"] if g.opset >= 16 else []) + \
        (["max", "min"] if g.opset >= 18 else [])
    how = g.rng.choice(kinds) if op != "Scatter" else None
    if text(x.a) == "bool" and how not in (None, "none"):
        raise Invalid("element type")
    d = x.a.shape[axis]
    if how in (None, "none") and d:
        dims[axis] = g.rng.randint(1, d)
        rows = [g.rng.sample(range(d), dims[axis])
                for _ in range(int(np.prod(dims)) // dims[axis])]
        a = np.array(rows, np.int64).reshape(
            [n for k, n in enumerate(dims) if k != axis % len(dims)] +
            [dims[axis]])
        a = np.ascontiguousarray(np.moveaxis(a, -1, axis))
        i = g.add(a, "const" if g.chance(.6) else "input")
    else:
        i = indices(g, dims, d, True if g.chance(.6) else None)
    u = g.new(text(x.a), dims, special=False)
    g.node(op, [x, i, u], exact=how in (None, "none", "max", "min") or
           not is_float(x.a), reduction=how, axis=axis)


@generator("ReverseSequence")
def reverse_sequence(g, op, domain):
    x = g.pick(types(g, op), least=2, empty=False)
    b = g.rng.choice([0, 1])
    n = g.const(g.random("i64", [x.a.shape[b]], 1, x.a.shape[1 - b]))
    if b != 1:
        g.node(op, [x, n], exact=True, batch_axis=0, time_axis=1)
    else:
        g.node(op, [x, n], exact=True)


# ---- Reductions ----
@generator("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd",
           "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp",
           "ReduceSumSquare")
def reduce(g, op, domain):
    since = 13 if op == "ReduceSum" else 18
    only = op in ("ReduceMax", "ReduceMin")
    x = g.pick(types(g, op), *((1, 3) if op == "ReduceLogSum" else
                               (None, None)), finite=not only,
               empty=not only and op != "ReduceMean")
    if op == "ReduceProd" and not is_float(x.a) and x.a.size > 8:
        raise Invalid("a product that overflows")
    n = x.a.ndim
    axes = g.rng.sample(range(n), g.rng.randint(0, n))
    if g.opset >= 11:
        axes = [a - n if g.chance(.3) else a for a in axes]
    keep = g.rng.choice([None, 0, 1])
    exact = only or not is_float(x.a) and op in (
        "ReduceSum", "ReduceProd", "ReduceL1", "ReduceSumSquare")
    if g.opset < since:
        g.node(op, [x], exact=exact, axes=axes or None, keepdims=keep)
        return
    ins = [x] + ([ints(g, axes)] if axes or g.chance(.3) else [])
    g.node(op, ins, exact=exact, keepdims=keep,
           noop_with_empty_axes=g.rng.choice([None, 0, 1]))


@generator("ArgMax", "ArgMin")
def arg(g, op, domain):
    x = g.pick(types(g, op), least=1, exact=True, empty=False)
    g.node(op, [x], exact=True, axis=axis_of(g, x.a.ndim, g.opset >= 11),
           keepdims=g.rng.choice([None, 0, 1]),
           select_last_index=g.rng.choice([None, 0, 1]) if g.opset >= 12
           else None)


@generator("CumSum", "CumProd")
def cumulative(g, op, domain):
    x = g.pick(types(g, op) if op == "CumSum" else ["f32", "i32", "f64"],
               least=1, finite=True)
    axis = np.array(axis_of(g, x.a.ndim), g.rng.choice([np.int32, np.int64]))
    g.node(op, [x, g.const(axis)], exact=not is_float(x.a),
           exclusive=g.rng.choice([None, 0, 1]),
           reverse=g.rng.choice([None, 0, 1]))


@generator("Softmax", "LogSoftmax", "Hardmax")
def softmax(g, op, domain):
    ts = types(g, op) if g.opset >= 13 else ["f32"]  # the reference is newer
    x = g.pick(ts, least=1, finite=True, empty=False, exact=op == "Hardmax")
    g.node(op, [x], exact=op == "Hardmax",
           axis=axis_of(g, x.a.ndim, g.opset >= 11) if g.chance(.8) else None)


@generator("TopK")
def top_k(g, op, domain):
    x = g.pick(types(g, op), least=1, exact=True, empty=False)
    axis = axis_of(g, x.a.ndim, g.opset >= 11)
    k = g.rng.randint(0 if g.opset >= 11 else 1, x.a.shape[axis])
    if g.opset < 10:
        g.node(op, [x], 2, exact=True, axis=axis, k=k)
        return
    g.node(op, [x, ints(g, [k])], 2, exact=True, axis=axis,
           largest=g.rng.choice([None, 0, 1]) if g.opset >= 11 else None)


# ---- Control flow: subgraphs that read outer values ----
def subgraph(g, name, ins, nodes, outs):
    import onnx
    return onnx.helper.make_graph(
        nodes, name, ins, [onnx.ValueInfoProto(name=o) for o in outs])


def simple(op, ins, out, **attrs):
    import onnx
    return onnx.helper.make_node(op, ins, [out], **attrs)


@generator("If")
def if_(g, op, domain):
    x = g.pick(["f32", "i32"], finite=True)
    y = g.new(text(x.a), list(x.a.shape), special=False)
    c = g.add(np.array(g.chance(.5)), "const" if g.chance(.4) else "input")
    n = g.name("b")
    forms = [[simple("Add", [x.name, y.name], n + "o")],
             [simple("Neg", [x.name], n + "o")],
             [simple("Neg", [x.name], n + "i"),
              simple("Mul", [n + "i", y.name], n + "o")]]
    branches = []
    for k in range(2):
        body = g.rng.choice(forms)
        old, body = n, [b for b in body]
        new = n + str(k)
        fresh = []
        for b in body:
            p = type(b)()
            p.CopyFrom(b)
            for port in (p.input, p.output):
                for i, s in enumerate(port):
                    if s.startswith(old):
                        port[i] = new + s[len(old):]
            fresh.append(p)
        branches.append(subgraph(g, new, [], fresh, [new + "o"]))
    g.node(op, [c], exact=not is_float(x.a), reads=[x, y],
           body={"then_branch": branches[0], "else_branch": branches[1]})


@generator("Loop")
def loop(g, op, domain):
    import onnx
    h = onnx.helper
    x = g.pick(["f32", "i32"], finite=True, most=3)
    w = g.new(text(x.a), list(x.a.shape), -.9, .9, special=False)
    trips = g.rng.randint(0, 5)
    scan = g.chance(.6) and trips > 0
    n, t = g.name("b"), h.np_dtype_to_tensor_dtype(x.a.dtype)
    info = h.make_tensor_value_info
    body = subgraph(g, n, [info(n + "i", 7, []), info(n + "c", 9, []),
                           info(n + "a", t, x.a.shape)],
                    [simple("Identity", [n + "c"], n + "d"),
                     simple("Mul", [n + "a", w.name], n + "m"),
                     simple("Add", [n + "m", x.name], n + "o")] +
                    ([simple("Sub", [n + "o", w.name], n + "s")] if scan
                     else []),
                    [n + "d", n + "o"] + ([n + "s"] if scan else []))
    start = g.new(text(x.a), list(x.a.shape), special=False)
    cond = g.const(np.array(True)) if g.chance(.5) else None
    g.node(op, [g.const(np.array(trips, np.int64)), cond, start],
           2 if scan else 1, exact=not is_float(x.a), reads=[x, w],
           body={"body": body})


@generator("Scan")
def scan(g, op, domain):
    import onnx
    if g.opset < 9:
        raise Invalid("an opset without it")
    h = onnx.helper
    x = g.pick(["f32", "i32"], least=1, most=3, finite=True, empty=False)
    axis = g.rng.randrange(x.a.ndim)
    dims = [d for k, d in enumerate(x.a.shape) if k != axis]
    state = g.new(text(x.a), dims, special=False)
    n, t = g.name("b"), h.np_dtype_to_tensor_dtype(x.a.dtype)
    info = h.make_tensor_value_info
    body = subgraph(g, n, [info(n + "a", t, dims), info(n + "x", t, dims)],
                    [simple("Sub", [n + "x", n + "a"], n + "o"),
                     simple("Mul", [n + "x", n + "o"], n + "s")],
                    [n + "o", n + "s"])
    out = g.rng.randrange(len(dims) + 1)
    g.node(op, [state, x], 2, exact=not is_float(x.a), body={"body": body},
           num_scan_inputs=1, scan_input_axes=[axis],
           scan_output_axes=[out] if g.chance(.5) else None,
           scan_input_directions=[g.rng.randint(0, 1)] if g.chance(.5)
           else None,
           scan_output_directions=[g.rng.randint(0, 1)] if g.chance(.5)
           else None)


@generator("ai.onnx.ml.Binarizer")
def binarizer(g, op, domain):
    x = g.pick(["f32", "f64", "i32", "i64"], exact=True, most=2)
    g.node(op, [x], domain=domain, exact=True,
           threshold=number(g, -1, 1) if g.chance(.7) else None)


@generator("ai.onnx.ml.ArrayFeatureExtractor")
def array_feature_extractor(g, op, domain):
    x = g.pick(["f32", "f64", "i32", "i64"], least=1, empty=False)
    i = g.new("i64", [g.rng.randint(1, 4)], 0, x.a.shape[-1] - 1)
    g.node(op, [x, i], domain=domain, exact=True)


# ---- Sequences and optionals: made, changed and read in one go ----
class Chain:
    def __init__(self, g):
        self.g, self.protos, self.ins = g, [], []

    def use(self, v):
        self.ins.append(v)
        return v.name

    def then(self, op, ins, **attrs):
        out = self.g.name("v")
        p = simple(op, ins, out, **{k: v for k, v in attrs.items()
                                    if v is not None})
        p.name = self.g.name("n")
        self.protos.append(p)
        return out

    def position(self, n, ends=0):
        return self.use(self.g.const(np.array(
            self.g.rng.randint(-n, n - 1 + ends),
            self.g.rng.choice([np.int64, np.int32]))))

    def end(self, name, exact=True):
        self.g.group(self.protos, self.ins, [name], exact)


@generator("SequenceConstruct", "SequenceEmpty", "SequenceInsert",
           "SequenceErase", "SequenceAt", "SequenceLength", "SplitToSequence",
           "ConcatFromSequence", "SequenceMap")
def sequence(g, op, domain):
    import onnx
    h = onnx.helper
    c = Chain(g)
    x = g.pick(["f32", "i32", "i64", "f64", "u8", "bool"], least=1, most=3,
               empty=False)
    t, rank, n = text(x.a), x.a.ndim, 0
    kind = h.np_dtype_to_tensor_dtype(x.a.dtype)

    def fresh():
        return c.use(g.new(t, list(x.a.shape)))
    if op == "SplitToSequence" or g.chance(.25):
        axis = axis_of(g, rank)
        n = x.a.shape[axis]
        keep = g.rng.choice([None, 0, 1])
        ins = [c.use(x)]
        if g.chance(.5):
            size = g.rng.randint(1, n)
            ins.append(c.use(g.const(np.array(size, np.int64))))
            n = -(-n // size)
            keep = None
        elif keep == 0:
            rank -= 1
        s = c.then("SplitToSequence", ins, axis=axis if g.chance(.8) or
                   axis else None, keepdims=keep)
        same = False
    elif op == "SequenceEmpty" or g.chance(.2):
        s, same = c.then("SequenceEmpty", [], dtype=kind), True
    else:
        n = g.rng.randint(1, 3)
        s = c.then("SequenceConstruct", [c.use(x)] + [fresh() for _ in
                                                      range(n - 1)])
        same = True
    for _ in range(g.rng.randint(0, 2)):
        if same and (n == 0 or g.chance(.5)):
            s = c.then("SequenceInsert", [s, fresh()] + (
                [c.position(n, 1)] if n and g.chance(.6) else []))
            n += 1
        elif n > 1:
            s = c.then("SequenceErase", [s] + ([c.position(n)] if g.chance(.6)
                                               else []))
            n -= 1
    if n and op == "SequenceMap" and g.opset >= 17:
        b = g.name("b")
        body = h.make_graph(
            [simple("Identity" if t == "bool" else "Abs" if t == "u8" else
                    "Neg", [b + "i"], b + "o")], b,
            [h.make_tensor_value_info(b + "i", kind, None)],
            [h.make_tensor_value_info(b + "o", kind, None)])
        s = c.then("SequenceMap", [s], body=body)
    if op == "SequenceLength" or n == 0:
        c.end(c.then("SequenceLength", [s]))
    elif op == "ConcatFromSequence" or g.chance(.4) and rank:
        c.end(c.then("ConcatFromSequence", [s],
                     axis=g.rng.randrange(max(rank, 1)),
                     new_axis=g.rng.choice([None, 0, 1])))
    else:
        c.end(c.then("SequenceAt", [s, c.position(n)]))


@generator("Optional", "OptionalGetElement", "OptionalHasElement")
def optional(g, op, domain):
    c = Chain(g)
    x = c.use(g.pick(["f32", "i32", "bool"]))
    o = c.then("Optional", [x])
    c.end(c.then("OptionalHasElement" if op == "OptionalHasElement" else
                 "OptionalGetElement", [o]))
