"""Random TensorFlow Lite graphs for utils/fuzz/tflite, as texts of
test/frontend/Inputs/tflite.py: `draw(seed)`. Operators are drawn with types, shapes
and options that TensorFlow Lite Micro's kernels take."""
import math
import random

INTS = {"i8": (-128, 127), "i16": (-32768, 32767), "i32": (-1000, 1000), "i64": (-1000, 1000),
        "bool": (0, 1)}


class Tensor:
    def __init__(self, name, kind, dims, quant=None):
        self.name, self.kind, self.dims, self.quant = name, kind, list(dims), quant


class Graph:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.tensors, self.ops, self.used, self.values = [], [], set(), []

    def pick(self, *items):
        return self.r.choice(items)

    def flip(self, one_in=2):
        return self.r.randrange(one_in) == 0

    def dims(self, rank=None, most=6):
        return [self.r.randint(1, most) for _ in range(self.r.randint(1, 4) if rank is None else rank)]

    def quant(self, kind, low=-6, high=1):
        """(scale, zero point) of a kind that has them."""
        if kind not in ("i8", "i16"):
            return None
        scale = 2 ** self.r.uniform(low, high) * (1 if kind == "i8" else 2 ** -8)
        return float("%.6g" % scale), self.r.randint(-128, 127) if kind == "i8" else 0

    def declare(self, role, kind, dims, quant, more=""):
        t = Tensor("t%d" % len(self.tensors), kind, dims, quant)
        q = "" if quant is None else " " + (quant if isinstance(quant, str) else "%g:%d" % quant)
        self.tensors.append([role, t, "%s %s[%s]%s%s" % (t.name, kind, ",".join(map(str, dims)), q, more)])
        return t

    def x(self, kind, dims, quant="some"):
        """A value made so far, or an input."""
        fits = [t for t in self.values if t.kind == kind and t.dims == list(dims)]
        if fits and self.flip():
            t = self.r.choice(fits)
            if quant == "some" or quant == t.quant:
                self.used.add(t.name)
                return t
        return self.declare("in ", kind, dims, self.quant(kind) if quant == "some" else quant)

    def any(self, kinds, rank=None, ranks=None, most=6):
        """A value of one of the kinds, or an input."""
        ranks = ranks or ([rank] if rank else [1, 2, 3, 4])
        fits = [t for t in self.values if t.kind in kinds and len(t.dims) in ranks]
        if fits and not self.flip(3):
            t = self.r.choice(fits)
            self.used.add(t.name)
            return t
        return self.x(self.r.choice(kinds), self.dims(self.r.choice(ranks), most))

    def const(self, kind, dims, values=None, quant=None):
        n = math.prod(dims)
        if values is None:
            if kind == "f32":
                values = ["%.4f" % self.r.gauss(0, 1) for _ in range(n)]
            else:
                values = [self.r.randint(*INTS[kind]) for _ in range(n)]
        return self.declare("", kind, dims, quant, " = " + " ".join(map(str, values)))

    def out(self, kind, dims, quant=None):
        t = self.declare("", kind, dims, quant)
        self.values.append(t)
        return t

    def op(self, code, ins, outs, options=""):
        outs = outs if isinstance(outs, list) else [outs]
        self.ops.append("%s %s -> %s %s" % (code, " ".join(t.name if t else "-" for t in ins),
                                            " ".join(t.name for t in outs), options))

    def text(self):
        lines = []
        for role, t, line in self.tensors:
            made = any(v is t for v in self.values)
            lines.append(("out " if made and t.name not in self.used else role) + line)
        return "\n".join(lines + self.ops) + "\n"


def axes_quant(g, n, axis):
    return ",".join("%.5g" % (2 ** g.r.uniform(-8, -3)) for _ in range(n)) + "@%d" % axis


def scales(q):
    return [float(v) for v in q.partition("@")[0].partition(":")[0].split(",")]


def weights(g, kind, dims, axis):
    """Weights and how their scales are written: for all or for each channel."""
    n = dims[axis]
    q = axes_quant(g, n, axis) if n > 1 and g.flip() else "%.5g" % (2 ** g.r.uniform(-8, -3))
    return g.const("i8", dims, [g.r.randint(-127, 127) for _ in range(math.prod(dims))], q), q


def bias(g, kind, x, q, n):
    q = ",".join("%.8g" % (x.quant[0] * s) for s in scales(q)) + ("@0" if "@" in q else "")
    big = 3000 if kind == "i8" else 100000
    return g.const("i32" if kind == "i8" else "i64", [n], [g.r.randint(-big, big) for _ in range(n)], q)


def sum_quant(g, kind, x, q, depth):
    """A scale that sums of so many products fill."""
    top = x.quant[0] * max(scales(q)) * 127 * INTS[kind][1] * math.sqrt(depth) / 2
    return float("%.6g" % (top / INTS[kind][1])), g.quant(kind)[1]


def windows(g, size, filter_, stride, dilation, same):
    span = (filter_ - 1) * dilation + 1
    return -(-size // stride) if same else max(0, -(-(size - span + 1) // stride))


def conv(g, depthwise=False):
    kind = g.pick("i8", "i8", "i16", "f32")
    n, h, w, c = g.r.randint(1, 2), g.r.randint(3, 9), g.r.randint(3, 9), g.r.randint(1, 6)
    kh, kw = g.r.randint(1, 3), g.r.randint(1, 3)
    sh, sw = g.r.randint(1, 2), g.r.randint(1, 2)
    dh, dw = (1, 1) if g.flip() else (g.r.randint(1, 2), g.r.randint(1, 2))
    same, act = g.flip(), g.pick(0, 0, 1, 3)
    x = g.x(kind, [n, h, w, c])
    m = c * g.r.randint(1, 2) if depthwise else g.r.randint(1, 7)
    groups = g.pick(1, 1, *[k for k in range(2, c + 1) if c % k == 0]) if not depthwise else 1
    if groups > 1:
        m = groups * g.r.randint(1, 2)
    dims = [1, kh, kw, m] if depthwise else [m, kh, kw, c // groups]
    out = [n, windows(g, h, kh, sh, dh, same), windows(g, w, kw, sw, dw, same), m]
    if min(out) < 1:
        return
    q = None
    if kind == "f32":
        f, b, yq = g.const("f32", dims), g.const("f32", [m]), None
    else:
        f, q = weights(g, kind, dims, 3 if depthwise else 0)
        b = bias(g, kind, x, q, m)
        yq = sum_quant(g, kind, x, q, kh * kw * (1 if depthwise else c))
    if g.flip(4):
        b = None
    y = g.out(kind, out, yq)
    options = "0b=%d 1i=%d 2i=%d " % (not same, sw, sh)
    if depthwise:
        g.op("4/2", [x, f, b], y, options + "3i=%d 4b=%d 5i=%d 6i=%d" % (m // c, act, dw, dh))
    else:
        g.op("3/1", [x, f, b], y, options + "3b=%d 4i=%d 5i=%d" % (act, dw, dh))


def depthwise(g):
    conv(g, True)


def dense(g):
    kind = g.pick("i8", "i8", "i16", "f32")
    n, c, m = g.r.randint(1, 4), g.r.randint(1, 40), g.r.randint(1, 12)
    x, act = g.x(kind, [n, c]), g.pick(0, 0, 1, 3)
    if kind == "f32":
        f, b, yq = g.const("f32", [m, c]), g.const("f32", [m]), None
    else:
        f, q = weights(g, kind, [m, c], 0)
        b, yq = bias(g, kind, x, q, m), sum_quant(g, kind, x, q, c)
    y = g.out(kind, [n, m], yq)
    g.op("9/8", [x, f, b], y, "0b=%d" % act)


def transpose_conv(g):
    kind = g.pick("i8", "i8", "i16", "f32")
    h, w, c, m = g.r.randint(1, 5), g.r.randint(1, 5), g.r.randint(1, 4), g.r.randint(1, 4)
    kh, kw, s = g.r.randint(1, 4), g.r.randint(1, 4), g.r.randint(1, 3)
    same = g.flip()
    x = g.x(kind, [1, h, w, c])
    out = [1, h * s, w * s, m] if same else [1, (h - 1) * s + max(kh, s), (w - 1) * s + max(kw, s), m]
    if kind == "f32":
        f, b, yq = g.const("f32", [m, kh, kw, c]), g.const("f32", [m]), None
    else:
        f, q = weights(g, kind, [m, kh, kw, c], 0)
        b, yq = bias(g, kind, x, q, m), sum_quant(g, kind, x, q, kh * kw * c)
    y = g.out(kind, out, yq)
    g.op("67/49", [g.const("i32", [4], out), f, x] + ([b] if g.flip() else []), y,
         "0b=%d 1i=%d 2i=%d" % (not same, s, s))


def batch_matmul(g):
    kind = g.pick("i8", "i16", "f32")
    b, n, k, m = g.dims(g.r.randint(0, 2), 3), *g.dims(3)
    ax, ay = g.flip(), g.flip()
    x = g.x(kind, b + ([k, n] if ax else [n, k]))
    y = g.x(kind, b + ([m, k] if ay else [k, m]))
    q = None if kind == "f32" else sum_quant(g, kind, x, "%g" % y.quant[0], k)
    g.op("126/101", [x, y], g.out(kind, b + [n, m], q), "0b=%d 1b=%d" % (ax, ay))


def pool(g):
    kind = g.pick("i8", "i8", "i16", "f32")
    code = g.pick(1, 17, 12 if kind == "f32" else 17)
    n, h, w, c = g.r.randint(1, 2), *g.dims(2, 8), g.r.randint(1, 5)
    kh, kw, s, same = g.r.randint(1, min(3, h)), g.r.randint(1, min(3, w)), g.r.randint(1, 3), g.flip()
    x = g.x(kind, [n, h, w, c])
    out = [n, windows(g, h, kh, s, 1, same), windows(g, w, kw, s, 1, same), c]
    g.op("%d/5" % code, [x], g.out(kind, out, x.quant),
         "0b=%d 1i=%d 2i=%d 3i=%d 4i=%d 5b=%d" % (not same, s, s, kw, kh, g.pick(0, 0, 1, 3)))


def broadcast(g, kind):
    """Two values of shapes that go together, and the shape of both."""
    dims = g.dims()
    other = dims if g.flip() else [d if g.flip() else 1 for d in dims]
    if g.flip(4):
        other = other[g.r.randint(0, len(other) - 1):]
    a, b = g.x(kind, dims), g.x(kind, other) if not g.flip(4) else g.const(kind, other, quant=g.quant(kind))
    return (a, b, dims) if g.flip() else (b, a, dims)


def arithmetic(g):
    code, union = g.pick((0, 11), (18, 21), (41, 28))
    kind = g.pick("i8", "i8", "i16", "f32", "i32")
    a, b, dims = broadcast(g, kind)
    q = None
    if a.quant:
        top = max(a.quant[0], b.quant[0])
        q = (float("%.6g" % (top * g.r.uniform(.6, 2.5))), g.quant(kind)[1])
        if code == 18:
            q = (float("%.6g" % (a.quant[0] * b.quant[0] * INTS[kind][1] * g.r.uniform(.2, 1))), q[1])
    g.op("%d/%d" % (code, union), [a, b], g.out(kind, dims, q), "0b=%d" % (g.pick(0, 0, 1, 3) if kind != "i32" else 0))


def quotient(g):
    """Of floats: of integers the kernels shift by more bits than there are."""
    a, b, dims = broadcast(g, "f32")
    g.op("42/29", [a, b], g.out("f32", dims), "0b=%d" % g.pick(0, 1, 3))


def extreme(g):
    kind = g.pick("i8", "f32", "i32")
    dims = g.dims()
    a = g.x(kind, dims)
    b = g.x(kind, [d if g.flip() else 1 for d in dims], a.quant)
    g.op("%d/39" % g.pick(55, 57), [a, b], g.out(kind, dims, a.quant))


def compare(g):
    code, union = g.pick((71, 53), (72, 54), (58, 41), (63, 46), (61, 44), (62, 45))
    a, b, dims = broadcast(g, g.pick("i8", "f32", "i32"))
    g.op("%d/%d" % (code, union), [a, b], g.out("bool", dims))


def logic(g):
    if g.flip(3):
        x = g.any(["bool"])
        return g.op("87/63", [x], g.out("bool", x.dims))
    dims = g.dims()
    code, union = g.pick((84, 60), (86, 62))
    return g.op("%d/%d" % (code, union), [g.x("bool", dims), g.x("bool", dims)], g.out("bool", dims))


def choose(g):
    kind, dims = g.pick("i8", "i16", "f32"), g.dims()
    a = g.x(kind, dims)
    b = g.x(kind, dims, a.quant)
    c = g.x("bool", dims if g.flip() else [d if g.flip() else 1 for d in dims])
    g.op("123/98", [c, a, b], g.out(kind, dims, a.quant))


def floors(g):
    dims = g.dims()
    code, union = g.pick((90, 65), (95, 72))
    b = g.const("f32", dims, ["%.3f" % (g.pick(-1, 1) * g.r.uniform(.3, 3)) for _ in range(math.prod(dims))])
    g.op("%d/%d" % (code, union), [g.x("f32", dims), b], g.out("f32", dims))


def difference(g):
    kind = g.pick("i8", "f32", "i32")
    a, b, dims = broadcast(g, kind)
    q = None
    if a.quant:
        q = (float("%.6g" % (max(a.quant[0], b.quant[0]) ** 2 * 100)), g.quant(kind)[1])
    g.op("99/76", [a, b], g.out(kind, dims, q))


def float_map(g):
    code, union = g.pick((101, 78), (59, 42), (8, 0), (104, 0), (116, 0), (47, 33), (66, 0), (108, 84),
                         (92, 66), (111, 0), (19, 0), (21, 0), (117, 91), (14, 0), (28, 0))
    x = g.any(["f32"])
    if code in (117,) and len(x.dims) > 4:
        return
    g.op("%d/%d" % (code, union), [x], g.out("f32", x.dims))


def int_map(g):
    """Logistic, tanh, hard swish, leaky, ELU, ReLU, ABS, RSQRT of integers."""
    code, union, kinds = g.pick((14, 0, "i8 i16"), (28, 0, "i8 i16"), (117, 91, "i8"), (98, 75, "i8 i16"),
                                (111, 0, "i8"), (19, 0, "i8 i16"), (21, 0, "i8 i16"), (101, 78, "i8 i16"),
                                (59, 42, "i8"))
    x = g.any(kinds.split())
    q, options = g.quant(x.kind), ""
    if code == 14:
        q = (1 / 256, -128) if x.kind == "i8" else (1 / 32768, 0)
    elif code == 28:
        q = (1 / 128, 0) if x.kind == "i8" else (1 / 32768, 0)
    elif code == 98:
        options = "0f=%.4f" % g.r.uniform(0, 1.2)
    elif code in (19, 21):
        q = x.quant if code == 21 or g.flip() else (float("%.6g" % (x.quant[0] * g.r.uniform(.4, 2))), q[1])
    elif code == 59:
        q = x.quant
    elif code == 101:
        q = x.quant if x.kind == "i16" else q
    g.op("%d/%d" % (code, union), [x], g.out(x.kind, x.dims, q), options)


def prelu(g):
    kind, dims = g.pick("i8", "f32"), g.dims(4, 4)
    x = g.x(kind, dims)
    a = g.const(kind, [1, 1, dims[3]], quant=g.quant(kind, -8, -4))
    g.op("54/0", [x, a], g.out(kind, dims, g.quant(kind)))


def requantize(g):
    x = g.any(["i8", "i16", "f32"])
    if x.kind == "f32":
        kind = g.pick("i8", "i16")
        return g.op("114/89", [x], g.out(kind, x.dims, g.quant(kind, -6, -3)))
    if g.flip(3):
        return g.op("6/38", [x], g.out("f32", x.dims))
    kind = g.pick("i8", "i16")
    q = (float("%.6g" % (x.quant[0] * (256 if x.kind == "i16" else 1) / (256 if kind == "i16" else 1)
                         * g.r.uniform(.5, 2))), g.quant(kind)[1])
    return g.op("114/89", [x], g.out(kind, x.dims, q))


def cast(g):
    x = g.any(["i8", "i16", "i32", "f32"])
    x = x if x.quant is None else g.declare("in ", x.kind, x.dims, None)
    g.op("53/37", [x], g.out(g.pick("f32", "i32") if x.kind != "f32" else "i32", x.dims))


def softmax(g):
    x = g.any(["i8", "i16", "f32"], ranks=[1, 2, 3, 4])
    kind, q = x.kind, {"i8": (1 / 256, -128), "i16": (1 / 32768, 0)}.get(x.kind)
    if kind == "i8" and g.flip(4):
        kind, q = "i16", (1 / 65536, -32768)
    g.op("25/9", [x], g.out(kind, x.dims, q), "0f=%s" % g.pick(1, 1, .5, 2))


def rows(g):
    if g.flip():
        x = g.x(g.pick("i8", "f32"), g.dims(g.r.randint(2, 4)))
        return g.op("11/12", [x], g.out(x.kind, x.dims, (1 / 128, 0) if x.quant else None))
    x = g.any(["f32"], ranks=[2, 3, 4])
    return g.op("50/36", [x], g.out("f32", x.dims))


def moves(g):
    kinds = ["i8", "i16", "f32", "i32"]
    which = g.r.randrange(12)
    if which == 0:
        x = g.any(kinds)
        n = math.prod(x.dims)
        d = g.pick(*[d for d in range(1, n + 1) if n % d == 0])
        dims = [d, n // d] if g.flip() else [n // d, d, 1]
        return g.op("22/17", [x, g.const("i32", [len(dims)], dims)], g.out(x.kind, dims, x.quant))
    if which == 1:
        x = g.any(["i8", "i16", "f32"], ranks=[1, 2, 3, 4])
        pads = [[g.r.randint(0, 2), g.r.randint(0, 2)] for _ in x.dims]
        out = g.out(x.kind, [d + a + b for d, (a, b) in zip(x.dims, pads)], x.quant)
        p = g.const("i32", [len(x.dims), 2], sum(pads, []))
        if g.flip(3):
            return g.op("60/43", [x, p, g.const(x.kind, [1], quant=x.quant)], out)
        return g.op("34/22", [x, p], out)
    if which == 2:
        x = g.any(kinds)
        perm = list(range(len(x.dims)))
        g.r.shuffle(perm)
        return g.op("39/26", [x, g.const("i32", [len(perm)], perm)], g.out(x.kind, [x.dims[p] for p in perm], x.quant))
    if which == 3:
        kind, dims, n = g.pick("i8", "i16", "f32"), g.dims(), g.r.randint(1, 3)
        axis, parts, q = g.r.randrange(len(dims)), [], "some"
        for _ in range(n):
            d = list(dims)
            d[axis] = g.r.randint(1, 4)
            parts.append(g.x(kind, d, q))
            q = parts[0].quant
        dims[axis] = sum(p.dims[axis] for p in parts)
        return g.op("2/10", parts, g.out(kind, dims, q), "0i=%d" % (axis - (len(dims) if g.flip() else 0)))
    if which == 4:
        x = g.any(kinds, ranks=[1, 2, 3, 4])
        begin = [g.r.randrange(d) for d in x.dims]
        size = [g.r.randint(1, d - b) for d, b in zip(x.dims, begin)]
        n = len(x.dims)
        return g.op("65/48", [x, g.const("i32", [n], begin), g.const("i32", [n], size)], g.out(x.kind, size, x.quant))
    if which == 5:
        x = g.any(["i8", "i16", "f32", "i32"], ranks=[1, 2, 3, 4])
        n, step = len(x.dims), [g.pick(1, 1, 2, -1) for _ in x.dims]
        begin = [g.r.randrange(d) for d in x.dims]
        end = [g.r.randint(b + 1, d) if s > 0 else g.r.randint(-1, b - 1) for b, d, s in zip(begin, x.dims, step)]
        end = [e if e >= 0 else -d - 1 for e, d in zip(end, x.dims)]
        real = [e if e >= -d else -1 for e, d in zip(end, x.dims)]
        out = [-(-(e - b) // s) if s > 0 else -(-(b - e) // -s) for b, e, s in zip(begin, real, step)]
        return g.op("45/32", [x] + [g.const("i32", [n], v) for v in (begin, end, step)], g.out(x.kind, out, x.quant),
                    "0i=0 1i=0")
    if which == 6:
        x = g.any(["i8", "f32", "i32"], ranks=[2, 3, 4])
        axis = g.r.randrange(len(x.dims))
        n = g.r.randint(1, 4)
        at = g.const("i32", [n], [g.r.randrange(x.dims[axis]) for _ in range(n)])
        return g.op("36/23", [x, at], g.out(x.kind, x.dims[:axis] + [n] + x.dims[axis + 1:], x.quant), "0i=%d" % axis)
    if which == 7:
        x = g.any(["i8", "i16", "f32", "i32"], ranks=[1, 2, 3])
        axis = g.r.randrange(len(x.dims))
        n = x.dims[axis]
        parts = g.pick(*[k for k in range(1, n + 1) if n % k == 0])
        d = list(x.dims)
        d[axis] = n // parts
        outs = [g.out(x.kind, d, x.quant) for _ in range(parts)]
        return g.op("49/35", [g.const("i32", [], [axis]), x], outs, "0i=%d" % parts)
    if which == 8:
        kind, dims = g.pick("i8", "i16", "f32", "i32"), g.dims(g.r.randint(1, 3))
        parts, q = [], "some"
        for _ in range(g.r.randint(1, 3)):
            parts.append(g.x(kind, dims, q))
            q = parts[0].quant
        axis = g.r.randint(0, len(dims))
        return g.op("83/59", parts, g.out(kind, dims[:axis] + [len(parts)] + dims[axis:], q),
                    "0i=%d 1i=%d" % (len(parts), axis))
    if which == 9:
        x = g.any(["i8", "f32", "i32"], ranks=[2, 3])
        axis = g.r.randrange(len(x.dims))
        outs = [g.out(x.kind, x.dims[:axis] + x.dims[axis + 1:], x.quant) for _ in range(x.dims[axis])]
        return g.op("88/64", [x], outs, "0i=%d 1i=%d" % (len(outs), axis))
    if which == 10:
        x = g.any(["i8", "f32"], ranks=[1, 2, 3, 4])
        pads = [[g.r.randint(0, d - 1), g.r.randint(0, d - 1)] for d in x.dims]
        return g.op("100/77", [x, g.const("i32", [len(pads), 2], sum(pads, []))],
                    g.out(x.kind, [d + a + b for d, (a, b) in zip(x.dims, pads)], x.quant), "0b=%d" % g.r.randrange(2))
    x = g.any(["i8", "f32"], ranks=[1, 2, 3])
    dims = g.dims(g.r.randint(0, 4 - len(x.dims)), 3) + [d if d > 1 else g.r.randint(1, 3) for d in x.dims]
    return g.op("130/104", [x, g.const("i32", [len(dims)], dims)], g.out(x.kind, dims, x.quant))


def blocks(g):
    b, (h, w, c), kind = g.r.randint(1, 3), g.dims(3, 4), g.pick("i8", "f32")
    which = g.r.randrange(4)
    if which == 0:
        x = g.x(kind, [1, h * b, w * b, c])
        return g.op("26/19", [x], g.out(kind, [1, h, w, c * b * b], x.quant), "0i=%d" % b)
    if which == 1:
        x = g.x(kind, [1, h, w, c * b * b])
        return g.op("5/94", [x], g.out(kind, [1, h * b, w * b, c], x.quant), "0i=%d" % b)
    pads = [g.r.randint(0, 1) for _ in range(4)]
    if which == 2 and kind == "f32":
        x = g.x(kind, [1, h, w, c])
        bh, bw = h + pads[0] + pads[1], w + pads[2] + pads[3]
        return g.op("38/25", [x, g.const("i32", [2], [bh, bw]), g.const("i32", [2, 2], pads)],
                    g.out(kind, [bh * bw, 1, 1, c], x.quant))
    x = g.x(kind, [b * b, h, w, c])
    return g.op("37/24", [x, g.const("i32", [2], [b, b]), g.const("i32", [2, 2], [0, 0, 0, 0])],
                g.out(kind, [1, h * b, w * b, c], x.quant))


def resize(g):
    x = g.x(g.pick("i8", "f32"), [1, *g.dims(2, 5), g.r.randint(1, 3)])
    size = g.dims(2, 9)
    half = g.flip()
    corners = not half and g.flip()
    out = g.out(x.kind, [1, *size, x.dims[3]], x.quant)
    if g.flip():
        return g.op("23/15", [x, g.const("i32", [2], size)], out, "2b=%d 3b=%d" % (corners, half))
    return g.op("97/74", [x, g.const("i32", [2], size)], out, "0b=%d 1b=%d" % (corners, half))


def reduce(g):
    code = g.pick(40, 40, 74, 82, 89)
    x = g.any(["i8", "i16", "f32"] if code in (40, 74) else ["i8", "f32"], ranks=[1, 2, 3, 4])
    axes = sorted(g.r.sample(range(len(x.dims)), g.r.randint(1, len(x.dims))))
    keep = g.flip()
    dims = [1 if i in axes else d for i, d in enumerate(x.dims) if keep or i not in axes]
    q = x.quant
    if q and code in (40, 74) and g.flip():
        n = math.prod(x.dims[i] for i in axes) if code == 74 else 1
        q = (float("%.6g" % (q[0] * n ** .5 * g.r.uniform(.5, 1.5))), g.quant(x.kind)[1])
    g.op("%d/27" % code, [x, g.const("i32", [len(axes)], axes)], g.out(x.kind, dims, q), "0b=%d" % keep)


def arg(g):
    x = g.any(["i8", "f32"], ranks=[1, 2, 3, 4])
    axis = g.r.randrange(len(x.dims))
    code, union = g.pick((56, 40), (79, 57))
    g.op("%d/%d" % (code, union), [x, g.const("i32", [1], [axis])], g.out("i32", x.dims[:axis] + x.dims[axis + 1:]),
         "0b=2")


def running(g):
    x = g.any(["f32", "i8"], ranks=[1, 2, 3])
    axis = g.r.randrange(len(x.dims))
    q = x.quant and (float("%.6g" % (x.quant[0] * 2)), x.quant[1])
    g.op("128/102", [x, g.const("i32", [1], [axis])], g.out(x.kind, x.dims, q),
         "0b=%d 1b=%d" % (g.flip(), g.flip()))


def total(g):
    kind, dims = g.pick("i8", "f32"), g.dims()
    parts = [g.x(kind, dims)]
    parts += [g.x(kind, dims, parts[0].quant) for _ in range(g.r.randint(1, 3))]
    q = parts[0].quant and (float("%.6g" % (parts[0].quant[0] * 2)), g.quant(kind)[1])
    g.op("106/82", parts, g.out(kind, dims, q))


def svdf(g):
    n, c, units, time, rank = g.r.randint(1, 2), *g.dims(3, 5), g.r.randint(1, 3)
    filters = units * rank
    if g.flip():
        x = g.x("f32", [n, c])
        f, t, b = g.const("f32", [filters, c]), g.const("f32", [filters, time]), g.const("f32", [units])
        s, y = g.declare("var ", "f32", [n, filters * time], None), g.out("f32", [n, units])
    else:
        x = g.x("i8", [n, c])
        fq, tq, sq = 2 ** g.r.uniform(-7, -4), 2 ** g.r.uniform(-14, -11), 2 ** g.r.uniform(-10, -8)
        f = g.const("i8", [filters, c], quant=(float("%.5g" % fq), 0))
        t = g.const("i16", [filters, time], [g.r.randint(-2000, 2000) for _ in range(filters * time)],
                    (float("%.5g" % tq), 0))
        b = g.const("i32", [units], [g.r.randint(-9999, 9999) for _ in range(units)], (float("%.8g" % (tq * sq)), 0))
        s = g.declare("var ", "i16", [n, filters * time], (float("%.5g" % sq), 0))
        y = g.out("i8", [n, units], g.quant("i8", -5, -2))
    g.op("27/6", [x, f, t, b, s], y, "0i=%d 1b=%d" % (rank, 1))


def signal(g):
    which = g.r.randrange(4)
    if which < 2:
        kind = g.pick("i16", "i32", "f32")
        code, n = {"i16": 7, "i32": 2, "f32": 0}[kind], g.pick(
            6, 8, 10, 12, 16, 18, 20, 24, 30, 32, 36, 48, 50, 64, 72, 90, 96, 100, 128, 150, 240, 256)
        if which:
            x = g.declare("in ", kind, [2, n + 2], None)
            return g.op("SignalIrfft", [x], g.out(kind, [2, n]), "x=T:%d,fft_length:%d" % (code, n))
        x = g.declare("in ", kind, [2, n - g.r.randrange(n // 2)], None)
        return g.op("SignalRfft", [x], g.out(kind, [2, n + 2]), "x=T:%d,fft_length:%d" % (code, n))
    n = g.r.randint(1, 40)
    x = g.declare("in ", "i16", [n], None)
    if which == 2:
        w = g.const("i16", [n], [g.r.randint(0, 4096) for _ in range(n)])
        return g.op("SignalWindow", [x, w], g.out("i16", [n]), "x=shift:12")
    return g.op("SignalFftAutoScale", [x], [g.out("i16", [n]), g.out("i32", [])], "x=a:0")


def others(g):
    which = g.r.randrange(6)
    if which == 0:
        dims = g.dims()
        return g.op("94/68", [g.const("i32", [len(dims)], dims), g.x("f32", [])], g.out("f32", dims))
    if which == 1:
        x = g.any(["i8", "f32", "i32"])
        return g.op("93/67", [x], g.out(x.kind, x.dims, x.quant))
    if which == 2:
        x = g.any(["i8", "f32"])
        return g.op("77/55", [x], g.out("i32", [len(x.dims)]))
    if which == 3:
        x = g.any(["f32", "i8", "i16", "i32"], ranks=[1, 2, 3])
        axis = g.r.randrange(len(x.dims))
        return g.op("105/81", [x, g.const("i32", [1], [axis])], g.out(x.kind, x.dims, x.quant))
    if which == 4:
        x = g.any(["f32", "i8"], ranks=[1, 2, 3])
        axis = g.r.randrange(len(x.dims) + 1)
        return g.op("70/52", [x, g.const("i32", [1], [axis])], g.out(x.kind, x.dims[:axis] + [1] + x.dims[axis:], x.quant))
    x = g.any(["f32", "i8"], ranks=[1, 2, 3])
    size = [g.r.randint(1, d) for d in x.dims]
    u = g.x(x.kind, size, x.quant)
    at = g.const("i32", [len(size)], [g.r.randint(0, d - s) for d, s in zip(x.dims, size)])
    return g.op("151/117", [x, u, at], g.out(x.kind, x.dims, x.quant))


KINDS = [conv, depthwise, dense, transpose_conv, batch_matmul, pool, arithmetic, arithmetic, quotient, extreme, compare,
         logic, choose, floors, difference, float_map, int_map, int_map, prelu, requantize, cast, softmax, rows,
         moves, moves, moves, blocks, resize, reduce, reduce, arg, running, total, svdf, signal, others]


def draw(seed):
    """The graph of a seed: 1 to 6 operators."""
    g = Graph(seed)
    for _ in range(g.pick(1, 1, 1, 2, 3, 4, 6)):
        g.r.choice(KINDS)(g)
    while not g.ops:
        g.r.choice(KINDS)(g)
    return g
