"""The rows of decompose.def against their standards: random operands, the row
built and evaluated by decompose_test, and the meaning written here element by
element. A row without a reference here fails."""
import itertools
import math
import random
import subprocess
import sys

tool = sys.argv[1]
random.seed(7)


class T:
    """A tensor: dims, and elements in row-major order."""
    mark = ""

    def __init__(self, dims, v, dtype="f32"):
        self.dims, self.v, self.dtype = list(dims), list(v), dtype

    def index(self):
        return list(itertools.product(*[range(d) for d in self.dims]))

    def at(self, i):  # with broadcasting from the right
        i = i[len(i) - len(self.dims):]
        n = 0
        for k, d in zip(i, self.dims):
            n = n * d + (k if d > 1 else 0)
        return self.v[n]

    def known(self):
        """The same as a constant."""
        k = T(self.dims, self.v, self.dtype)
        k.mark = "="
        return k

    def line(self):
        return "%s%s:%s:%s" % (self.mark, self.dtype, ",".join(map(str, self.dims)),
                             ",".join(repr(x) for x in self.v))


def rand(*dims, lo=-3, hi=3, dtype="f32"):
    f = (lambda: random.uniform(lo, hi)) if dtype[0] == "f" else (lambda: random.randint(lo, hi))
    return T(dims, [f() for _ in range(math.prod(dims))], dtype)


def make(dims, f):
    t = T(dims, [])
    t.v = [f(i) for i in t.index()]
    return t


def each(f, x, *others):
    return make(x.dims, lambda i: f(x.at(i), *[o.at(i) if o else None for o in others]))


def group(x, axes):
    """Elements that share all indices but those of `axes`."""
    out = {}
    for i in x.index():
        out.setdefault(tuple(0 if d in axes else k for d, k in enumerate(i)), []).append(x.at(i))
    return out


def reduce(x, axes, f):
    g = group(x, axes)
    return make([1 if d in axes else n for d, n in enumerate(x.dims)], lambda i: f(g[i]))


def drop(x, axes):
    return T([n for d, n in enumerate(x.dims) if d not in axes], x.v)


mean = lambda v: sum(v) / len(v)
var = lambda v: mean([(e - mean(v)) ** 2 for e in v])
sigmoid = lambda v: 1 / (1 + math.exp(-v))
channel = lambda t, i: t.v[i[1]]
clip = lambda v, lo, hi: min(max(v, lo), hi)
lse = lambda v: math.log(sum(math.exp(e) for e in v))


def softmax(x, axes, log=False):
    s = reduce(x, axes, lse)
    return make(x.dims, lambda i: (x.at(i) - s.at(i)) if log else math.exp(x.at(i) - s.at(i)))


def norm(x, axes, eps):
    m, inv = reduce(x, axes, mean), reduce(x, axes, lambda v: 1 / math.sqrt(var(v) + eps))
    y = make(x.dims, lambda i: (x.at(i) - m.at(i)) * inv.at(i))
    return [y, m, inv]


def affine(x, eps, parts):
    """Normalized over `parts(i)`: what an index shares statistics with."""
    g = {}
    for i in x.index():
        g.setdefault(parts(i), []).append(x.at(i))
    return lambda i: (x.at(i) - mean(g[parts(i)])) / math.sqrt(var(g[parts(i)]) + eps)


def hardmax(x, axes):
    best = {}
    for i in x.index():
        k = tuple(0 if d in axes else n for d, n in enumerate(i))
        if k not in best or x.at(i) > x.at(best[k]):
            best[k] = i
    return make(x.dims, lambda i: float(i in best.values()))


def nll(logp, target, weights, ignore, how):
    def w(i):
        t = target.at(i)
        return 0 if t == ignore else weights.v[t] if weights else 1
    each_loss = make(target.dims, lambda i: -w(i) * logp.at((i[0], target.at(i)) + i[1:]))
    if how == "none":
        return each_loss
    total = sum(each_loss.v)
    return T([], [total if how == "sum" else total / sum(w(i) for i in target.index())])


def lrn(x, size, alpha, beta, bias):
    def f(i):
        c = range(max(0, i[1] - (size - 1) // 2), min(x.dims[1], i[1] + size // 2 + 1))
        return x.at(i) / (bias + alpha / size * sum(x.at((i[0], k) + i[2:]) ** 2 for k in c)) ** beta
    return make(x.dims, f)


def dynamic_quantize(x):
    lo, hi = min(0, *x.v), max(0, *x.v)
    scale = (hi - lo) / 255
    zero = clip(round(-lo / scale), 0, 255)
    return [each(lambda v: clip(round(v / scale) + zero, 0, 255), x), T([], [scale]), T([], [zero])]


x, x4, pos = rand(2, 3, 4), rand(2, 4, 3, 2), rand(2, 3, 4, lo=1, hi=5)
ints = rand(2, 3, 4, lo=1, hi=9, dtype="i32")
v3, w3, c4, d4, e4, f4 = rand(3), rand(3), rand(4), rand(4), rand(4), rand(4, lo=1, hi=2)
last, last_bias = rand(4), rand(4)
gelu_tanh = lambda v: v / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v ** 3)))
gelu = lambda v: v / 2 * (1 + math.erf(v / math.sqrt(2)))
scores, target = rand(2, 3, 4), rand(2, 4, lo=0, hi=2, dtype="i64")
eps = 1e-5
cases = []


def case(row, operands, attrs, *want):
    """attrs: `axis=i:1 ..`; want: tensors, by the standard."""
    cases.append((row, operands, attrs, want))


case("squeeze", [reduce(x, [1], sum)], "axes=l:1", drop(reduce(x, [1], sum), [1]))
case("per_channel", [v3], "rank=i:4", T([3, 1, 1], v3.v))
case("mish", [x], "", each(lambda v: v * math.tanh(math.log(1 + math.exp(v))), x))
case("hard_swish", [x], "", each(lambda v: v * clip(v / 6 + 0.5, 0, 1), x))
case("swish", [x], "alpha=f:0.5", each(lambda v: v * sigmoid(0.5 * v), x))
case("swish", [x], "", each(lambda v: v * sigmoid(v), x))
case("quick_gelu", [x], "", each(lambda v: v * sigmoid(1.702 * v), x))
case("swiglu", [x, pos], "alpha=f:2", each(lambda v, z: v * sigmoid(2 * v) * z, x, pos))
case("gelu_tanh", [x, last], "", each(lambda v, b: gelu_tanh(v + b), x, last))
case("gelu_tanh", [x], "", each(gelu_tanh, x))
case("gelu_erf", [x, last], "", each(lambda v, b: gelu(v + b), x, last))
case("gelu_erf", [x], "approximate=s:tanh", each(gelu_tanh, x))
for row, attrs, axes in (("softmax_axes", "axes=l:0,2", [0, 2]), ("softmax", "axis=i:1", [1]),
                         ("softmax", "axis=i:-1", [2]), ("softmax_1", "", [1, 2])):
    case(row, [x], attrs, softmax(x, axes))
for row, attrs, axes in (("log_softmax_axes", "axes=l:0,2", [0, 2]), ("log_softmax", "axis=i:1", [1]),
                         ("log_softmax_1", "", [1, 2])):
    case(row, [x], attrs, softmax(x, axes, True))
case("hardmax", [x], "axis=i:1", hardmax(x, [1]))
case("hardmax_1", [x], "", hardmax(x, [1, 2]))
for row, f in (("sum", sum), ("product", math.prod), ("mean", mean), ("largest", max), ("smallest", min),
               ("sum_abs", lambda v: sum(map(abs, v))), ("sum_square", lambda v: sum(e * e for e in v)),
               ("norm_2", lambda v: math.sqrt(sum(e * e for e in v))), ("log_sum_exp", lse)):
    case(row, [x], "axes=l:0,2", reduce(x, [0, 2], f))
    case(row, [ints], "axes=l:1", reduce(ints, [1], lambda v: int(f(v))))
for kind in ("f16", "bf16", "f32", "f64"):
    case("log_sum_exp", [T([3, 2], [-math.inf, -math.inf, math.inf, 1, 5, -math.inf], kind)], "axes=l:1",
         T([3, 1], [-math.inf, math.inf, 5], kind))
case("log_sum", [pos], "axes=l:2", reduce(pos, [2], lambda v: math.log(sum(v))))
case("as_float", [ints], "", ints)
case("total", [x], "", T([], [sum(x.v)]))
case("erf_any", [x], "", each(math.erf, x))
case("modulo", [ints, T([], [-4], "i32")], "", each(lambda v: v % -4, ints))
case("modulo", [ints, T([], [-4], "i32")], "fmod=i:1", each(lambda v: int(math.fmod(v, -4)), ints))
case("bit_shift", [T([3], [1, 5, 8], "u8"), T([], [2], "u8")], "direction=s:LEFT", T([3], [4, 20, 32]))
case("bit_shift", [T([3], [1, 5, 8], "u8"), T([], [2], "u8")], "direction=s:RIGHT", T([3], [0, 1, 2]))
case("arg_max", [x], "axis=i:1", reduce(x, [1], lambda v: v.index(max(v))))
case("arg_min", [x], "axis=i:-1 keepdims=i:0", drop(reduce(x, [2], lambda v: v.index(min(v))), [2]))
case("arg_max", [T([4], [1, 2, 2, 0])], "select_last_index=i:1", T([1], [2]))
case("global_average", [x4], "", reduce(x4, [2, 3], mean))
case("global_max", [x4], "", reduce(x4, [2, 3], max))
for p in (1, 2, 3):
    case("power", [x], "p=i:%d" % p, each(lambda v: abs(v) ** p, x))
    case("root", [pos], "p=i:%d" % p, each(lambda v: v ** (1 / p), pos))
    case("global_lp", [x4], "p=i:%d" % p, reduce(x4, [2, 3], lambda v: sum(abs(e) ** p for e in v) ** (1 / p)))
for how in ("none", "sum", "mean"):
    case("nll_loss", [scores, target, v3], "reduction=s:%s ignore_index=i:1" % how, nll(scores, target, v3, 1, how))
    case("nll_loss", [scores, target], "reduction=s:" + how, nll(scores, target, None, None, how))
    case("nll_loss", [scores, target], "ignore_index=i:0 reduction=s:" + how, nll(scores, target, None, 0, how))
logp = softmax(scores, [1], True)
case("cross_entropy", [scores, target, w3], "", nll(logp, target, w3, None, "mean"), logp)
case("batch_norm", [x4, c4, d4, e4, f4], "epsilon=f:0.5",
     make(x4.dims, lambda i: (x4.at(i) - channel(e4, i)) / math.sqrt(channel(f4, i) + 0.5) * channel(c4, i) + channel(d4, i)))
by_channel = affine(x4, eps, lambda i: i[1])
stat = lambda f: [f([x4.at(i) for i in x4.index() if i[1] == c]) for c in range(4)]
case("batch_norm_train", [x4, c4, d4, e4, f4], "momentum=f:0.75",
     make(x4.dims, lambda i: by_channel(i) * channel(c4, i) + channel(d4, i)),
     T([4], [0.75 * a + 0.25 * b for a, b in zip(e4.v, stat(mean))]),
     T([4], [0.75 * a + 0.25 * b for a, b in zip(f4.v, stat(var))]))
case("moving", [v3, T([1, 3, 1], w3.v)], "axes=l:0,2 momentum=f:0.5", each(lambda a, b: (a + b) / 2, v3, w3))
case("norm_last", [x, c4, f4, d4, e4], "epsilon=f:0.5",
     each(lambda v, m, a, s, b: (v - m) / math.sqrt(a + 0.5) * s + b, x, c4, f4, d4, e4))
case("norm_last", [x, c4, f4], "epsilon=f:0.5", each(lambda v, m, a: (v - m) / math.sqrt(a + 0.5), x, c4, f4))
case("standardize", [x], "axes=l:1,2 epsilon=f:0.5", *norm(x, [1, 2], 0.5))
by_image = affine(x4, eps, lambda i: i[:2])
case("instance_norm", [x4, c4, d4], "", make(x4.dims, lambda i: by_image(i) * channel(c4, i) + channel(d4, i)))
ln = norm(x, [1, 2], eps)
case("layer_norm", [x, last, last_bias], "axis=i:1", each(lambda v, s, b: v * s + b, ln[0], last, last_bias), *ln[1:])
case("layer_norm", [x, last], "axis=i:-2 stash_type=i:0", each(lambda v, s: v * s, ln[0], last))
rms = reduce(x, [2], lambda v: math.sqrt(mean([e * e for e in v]) + eps))
case("rms_norm", [x, last], "", make(x.dims, lambda i: x.at(i) / rms.at(i) * last.at(i)))
for p in (1, 2):
    n = reduce(x, [1], lambda v: sum(abs(e) ** p for e in v) ** (1 / p))
    case("lp_norm", [x], "axis=i:1 p=i:%d" % p, make(x.dims, lambda i: x.at(i) / n.at(i)))
case("lp_norm", [T([2], [0, 0])], "", T([2], [0, 0]))
case("mean_variance_norm", [x4], "", norm(x4, [0, 2, 3], 0)[0])
by_group = affine(x4, eps, lambda i: (i[0], i[1] // 2))
two = rand(2), rand(2)
case("group_norm", [x4, c4, d4], "num_groups=i:2", make(x4.dims, lambda i: by_group(i) * channel(c4, i) + channel(d4, i)))
case("group_norm_18", [x4, *two], "num_groups=i:2",
     make(x4.dims, lambda i: by_group(i) * two[0].v[i[1] // 2] + two[1].v[i[1] // 2]))
for size in (2, 3):
    case("lrn", [x4], "size=i:%d alpha=f:0.5 bias=f:2" % size, lrn(x4, size, 0.5, 0.75, 2))
case("affine", [x], "alpha=f:2 beta=f:-1", each(lambda v: 2 * v - 1, x))
case("scaled_tanh", [x], "alpha=f:2 beta=f:0.5", each(lambda v: 2 * math.tanh(0.5 * v), x))
case("apply", [x], "f=s:(leaky_relu,(clamp,x,{lo=-1,hi=1}),{alpha=0.5})",
     each(lambda v: clip(v, -1, 1) if v > 0 else 0.5 * clip(v, -1, 1), x))
H = 2
h, s, r1, r2, rn = rand(3, H), rand(3, H), rand(H, H), rand(H, 2 * H), rand(H, H)
x1, x3, x4h = rand(3, H), rand(3, 3 * H), rand(3, 4 * H)
rb, pi, po, pf = rand(H), rand(H), rand(H), rand(H)
dot = lambda a, b, i, j: sum(a.at((i, k)) * b.at((k, j)) for k in range(H))
case("gate", [x3], "hidden=i:2 first=i:1 n=i:2", make([3, 4], lambda i: x3.at((i[0], i[1] + 2))))
case("peephole", [h, s, pi], "", each(lambda a, b, p: a + p * b, h, s, pi))
case("rnn_step", [x1, h, r1], "f=s:(tanh,x)", make([3, H], lambda i: math.tanh(x1.at(i) + dot(h, r1, *i))))


def gru(i, before, bias):
    b, j = i
    z, r = [sigmoid(x3.at((b, g * H + j)) + dot(h, r2, b, g * H + j)) for g in (0, 1)]
    reset = [sigmoid(x3.at((b, H + k)) + dot(h, r2, b, H + k)) for k in range(H)]
    inner = (reset[j] * (dot(h, rn, b, j) + bias.v[j]) if before
             else sum(reset[k] * h.at((b, k)) * rn.at((k, j)) for k in range(H)))
    return (1 - z) * math.tanh(x3.at((b, 2 * H + j)) + inner) + z * h.at(i)


def lstm(i, couples):
    b, j = i
    g = [x4h.at((b, k * H + j)) for k in range(4)]
    inp = sigmoid(g[0] + pi.v[j] * s.at(i))
    forget = 1 - inp if couples else sigmoid(g[2] + pf.v[j] * s.at(i))
    c = forget * s.at(i) + inp * math.tanh(g[3])
    return sigmoid(g[1] + po.v[j] * c) * max(c, 0), c


fg = "f=s:(sigmoid,x) g=s:(tanh,x) hidden=i:2 "
case("gru_step", [x3, h, r2, rn, rb], fg + "before_reset=i:1", make([3, H], lambda i: gru(i, True, rb)))
case("gru_step", [x3, h, r2, rn], fg + "before_reset=i:0", make([3, H], lambda i: gru(i, False, None)))
for couples in (0, 1):
    case("lstm_step", [x4h, s, pi, po, pf], fg + "out=s:(relu,x) couples=i:%d" % couples,
         *[make([3, H], lambda i: lstm(i, couples)[k]) for k in (0, 1)])
q, s1, z1 = rand(2, 3, lo=0, hi=255, dtype="u8"), T([], [0.25]), T([], [7], "u8")
case("dequantize", [q, s1, z1], "", each(lambda v: (v - 7) * 0.25, q))
case("dequantize", [q, s1], "", each(lambda v: v * 0.25, q))
case("narrowed", [x, z1], "to=s:u8", each(lambda v: clip(round(v) + 7, 0, 255), x))
case("quantize", [x, s1, z1], "to=s:u8", each(lambda v: clip(round(v / 0.25) + 7, 0, 255), x))
case("quantize_float", [T([3], [0.3, -50, 500]), s1], "to=s:f8e4m3fn", T([3], [1.25, -192, 448]))
case("quantize_float", [T([3], [0.3, -50, 500]), s1, T([], [0], "f4e2m1")], "to=s:f4e2m1", T([3], [1, -6, 6]))
case("quantize", [x, s1], "to=s:i8", each(lambda v: clip(round(v / 0.25), -128, 127), x))
case("dynamic_quantize", [x], "", *dynamic_quantize(x))
case("dynamic_quantize", [T([2], [0, 0])], "", T([2], [0, 0]), T([], [1]), T([], [0]))
qa, qb, sy = rand(2, 3, lo=0, hi=255, dtype="u8"), rand(2, 3, lo=0, hi=255, dtype="u8"), T([], [2.5])
u8 = lambda v: clip(round(v), 0, 255)
case("qlinear_add", [qa, s1, z1, qb, sy, None, sy, z1], "", each(lambda a, b: u8((a - 7) * 0.1 + b + 7), qa, qb))
case("qlinear_mul", [qa, s1, z1, qb, s1, None, sy, z1], "", each(lambda a, b: u8((a - 7) * b * 0.025 + 7), qa, qb))
q4 = rand(2, 4, 3, 2, lo=0, hi=255, dtype="u8")
case("qlinear_global_average", [q4, s1, z1, T([], [0.5]), z1], "",
     reduce(q4, [2, 3], lambda v: u8((sum(v) - 7 * len(v)) * 0.5 / len(v)) + 7))
case("qlinear_global_average", [q4, s1, None, T([], [0.5])], "channels_last=i:1",
     reduce(q4, [1, 2], lambda v: u8(sum(v) * 0.5 / len(v))))
for kind, to in (("f16", "f32"), ("i64", "f32"), ("f64", "f64")):
    case("wide", [T([2], [3, -2], kind)], "", T([2], [3, -2], to))
case("cast_to", [T([2], [2.5, -2.5])], "to=s:i32", T([2], [2, -2]))
case("cast_to", [T([4], [-9.5, 7, 8, 17])], "to=s:i4", T([4], [7, 7, -8, 1]))
eighths = T([6], [0.3, 17, -465, 1e9, -math.inf, 0.001])
case("cast_to", [eighths], "to=s:f8e4m3fn", T([6], [0.3125, 16, -448, 448, -448, 2 ** -9]))
case("cast_to", [eighths], "to=s:f8e5m2 saturate=i:0", T([6], [0.3125, 16, -448, math.inf, -math.inf, 2 ** -10]))
powers = T([6], [1.5, 3, 0.7, -2, 2.0 ** 127 * 1.5, 0.5])
case("cast_to", [powers], "to=s:f8e8m0", T([6], [2, 4, 1, 2, 2.0 ** 127, 0.5]))
case("to_power", [powers], "saturate=i:1 round_mode=s:down", T([6], [1, 2, 0.5, 2, 2.0 ** 127, 0.5]))
case("to_power", [powers], "saturate=i:0 round_mode=s:nearest", T([6], [2, 4, 0.5, 2, math.nan, 0.5]))
case("cast_like", [T([2], [2.5, -2.5]), ints], "", T([2], [2, -2]))
case("bit_cast", [T([2], [1, -2])], "to=s:u32", T([2], [0x3f800000, 0xc0000000]))
square = rand(2, 3, 4)
case("trilu", [square], "", make(square.dims, lambda i: square.at(i) * (i[1] <= i[2])))
case("trilu", [square, T([1], [-1], "i64")], "upper=i:0", make(square.dims, lambda i: square.at(i) * (i[2] <= i[1] - 1)))
lengths = T([3], [2, 4, 1], "i64")
case("reverse_sequence", [square, lengths], "batch_axis=i:1 time_axis=i:2", make(square.dims, lambda i: square.at(
    (*i[:2], lengths.v[i[1]] - 1 - i[2] if i[2] < lengths.v[i[1]] else i[2]))))
cache, fresh = rand(2, 2, 5, 2), rand(2, 2, 3, 2)
for mode, starts in ("linear", [0, 2]), ("circular", [1, 4]):
    case("tensor_scatter", [cache, fresh, T([2], starts, "i64")], "mode=s:" + mode, make(cache.dims, lambda i: next(
        (fresh.at((*i[:2], k, i[3])) for k in range(3) if (starts[i[0]] + k) % 5 == i[2]), cache.at(i))))
case("tensor_scatter", [cache, rand(2, 0, 5, 2)], "axis=i:1", cache)
case("eye_like", [rand(2, 3)], "k=i:1 dtype=s:i32", T([2, 3], [0, 1, 0, 0, 0, 1]))
for begin, dim, mode, row in [(2, 3, "reflect", "2101210"), (2, 3, "edge", "0001222"), (2, 3, "wrap", "1201201"),
                              (-1, 5, "reflect", "123432"), (-1, 5, "edge", "123444"), (-1, 5, "wrap", "123412"),
                              (2, 5, "reflect", "21012"), (2, 5, "edge", "00012"), (2, 5, "wrap", "12012"),
                              (1, 1, "reflect", "000"), (1, 1, "wrap", "000")]:
    case("pad_at", [T([len(row)], range(-begin, len(row) - begin), "i64"), T([], [begin], "i64")],
         "mode=s:%s dim=i:%d size=i:%d" % (mode, dim, len(row)), T([len(row)], map(int, row)))
case("eye_like", [rand(2, 3)], "", T([2, 3], [1, 0, 0, 0, 1, 0]))
case("f32_or_0", [qa], "", T([], [0]))
case("is_inf", [T([3], [math.inf, -math.inf, 1])], "detect_negative=i:0", T([3], [1, 0, 0]))
deep, wide = rand(1, 8, 2, 3), rand(1, 2, 4, 6)
case("depth_to_space", [deep], "blocksize=i:2", make([1, 2, 4, 6], lambda i: deep.at(
    (0, (i[2] % 2 * 2 + i[3] % 2) * 2 + i[1], i[2] // 2, i[3] // 2))))
case("depth_to_space", [deep], "blocksize=i:2 mode=s:CRD", make([1, 2, 4, 6], lambda i: deep.at(
    (0, i[1] * 4 + i[2] % 2 * 2 + i[3] % 2, i[2] // 2, i[3] // 2))))
case("space_to_depth", [wide], "blocksize=i:2", make([1, 8, 2, 3], lambda i: wide.at(
    (0, i[1] % 2, i[2] * 2 + i[1] // 4, i[3] * 2 + i[1] // 2 % 2))))
acc = rand(2, 3, lo=-500, hi=500, dtype="i32")
case("rescale", [acc, s1, T([], [0.5])], "alpha=f:2", each(lambda v: v * 0.25, acc))
case("rescale", [acc, s1, T([], [0.5]), T([], [2]), z1], "", each(lambda v: clip(round(v / 16) + 7, 0, 255), acc))
case("rescale", [acc, s1, T([], [0.5]), T([], [2])], "", each(lambda v: clip(round(v / 16), 0, 255), acc))

xt, nan4 = T([2, 3], [1, -2, 5, 0.5, 3, -1]), [math.nan] * 4
link, hi = T([6], [2 << 8, 4 << 8 | 2, 1 << 8, 2 << 8, 3 << 8, 4 << 8], "u32"), T([6], [0.75, 2, *nan4])
case("tree_step", [xt, link, hi, T([2, 3], [0, 1, 3, 0, 1, 2], "u32")], "bits=i:8 mask=i:255",
     T([2, 3], [3, 5, 3, 2, 4, 2], "u32"))
case("tree_leaf", [T([4], [1, 2, 1 + 2**-22, 1 + 2**-23]), T([3, 2], range(6)), T([1, 2], [2, 3], "u32")],
     "word=s:u32 mask=i:4194303", T([1, 2, 2], [4, 5, 2, 3]))
zx = T([2, 3], [1, 0, -2, 0, 0.5, 3])
case("softmax_zero", [zx], "", make([2, 3], lambda i: (math.exp(zx.at(i)) if zx.at(i) else 0) / sum(
    math.exp(zx.at((i[0], k))) for k in range(3) if zx.at((i[0], k)))))
half = lambda v: 2 / (math.pi * 0.147) + math.log(1 - v * v) / 2
erf_inv = lambda v: math.copysign(math.sqrt(math.sqrt(half(v) ** 2 - math.log(1 - v * v) / 0.147) - half(v)), v)
case("probit", [T([3], [0.25, 0.5, 0.9])], "", T([3], [math.sqrt(2) * erf_inv(2 * p - 1) for p in (0.25, 0.5, 0.9)]))
case("ml_post", [zx], "post=s:LOGISTIC", each(sigmoid, zx))
case("ml_post", [zx], "post=s:NONE", zx)
case("ml_post", [zx], "post=s:SOFTMAX", softmax(zx, [1]))
sx, sv = rand(2, 3), rand(4, 3)
svm = lambda f: make([2, 4], lambda i: f([(sx.at((i[0], k)), sv.at((i[1], k))) for k in range(3)]))
svm_dot = lambda p: sum(a * b for a, b in p)
case("svm_kernel", [sx, sv], "kernel=s:LINEAR gamma=f:0.5 coef0=f:1 degree=f:2", svm(svm_dot))
case("svm_kernel", [sx, sv], "kernel=s:POLY gamma=f:0.5 coef0=f:1 degree=f:2", svm(lambda p: (svm_dot(p) / 2 + 1) ** 2))
case("svm_kernel", [sx, sv], "kernel=s:SIGMOID gamma=f:0.5 coef0=f:1 degree=f:2",
     svm(lambda p: math.tanh(svm_dot(p) / 2 + 1)))
case("svm_kernel", [sx, sv], "kernel=s:RBF gamma=f:0.5 coef0=f:1 degree=f:2",
     svm(lambda p: math.exp(-sum((a - b) ** 2 for a, b in p) / 2)))
rows = lambda f: make([2, 3], lambda i: zx.at(i) / f([zx.at((i[0], k)) for k in range(3)]))
case("normalize_rows", [zx], "", rows(max))
case("normalize_rows", [zx], "norm=s:L1", rows(lambda v: sum(map(abs, v))))
case("normalize_rows", [zx], "norm=s:L2", rows(lambda v: math.sqrt(sum(e * e for e in v))))
case("normalize_rows", [T([2], [0, 0])], "", T([2], [0, 0]))
case("look_up", [T([2, 2], [3, 4, 5, 3], "i64"), T([2], [3, 5], "i64"), T([2], [0.5, 1.5]), T([], [-1])], "",
     T([2, 2], [0.5, -1, 1.5, 0.5]))
m3 = rand(2, 3)
w23, b2 = rand(6), rand(2)
linear = make([2, 2], lambda i: sum(m3.at((i[0], k)) * w23.v[3 * i[1] + k] for k in range(3)))
biased = make([2, 2], lambda i: linear.at(i) + b2.v[i[1]])
case("features", [m3], "", m3)
case("features", [v3], "", T([1, 3], v3.v))
case("linear_rows", [m3, w23], "rows=i:2", linear)
case("linear_regressor", [m3, w23, b2], "targets=i:2", biased)
case("linear_regressor", [m3, w23], "targets=i:2 post_transform=s:LOGISTIC", each(sigmoid, linear))
two_scores = T([2, 2], [0.5, -1, 2, 3])
case("classify", [two_scores, None, T([2], [7, 5], "i64")], "", T([2], [7, 5]), two_scores)
case("classify", [T([2, 1], [0.25, 0.75]), None, T([2], [7, 5], "i64")], "positive=i:1", T([2], [7, 5]),
     T([2, 2], [0.75, 0.25, 0.25, 0.75]))
case("classify", [T([2, 1], [0.25, 0.75]), None, T([2], [7, 5], "i64")], "complement=i:1 post=s:SOFTMAX", T([2], [5, 5]),
     T([2, 2], [0.75, 0.25, 0.25, 0.75]))
case("classify", [T([2, 1], [0.25, -0.75]), None, T([1], [7], "i64")], "post=s:LOGISTIC", T([2], [1, 0]),
     T([2, 1], [sigmoid(0.25), sigmoid(-0.75)]))
best = lambda t: [max(range(2), key=lambda k: t.at((i, k))) for i in range(2)]
case("linear_classifier", [m3, w23, b2, None, T([2], [7, 5], "i64")], "post_transform=s:SOFTMAX",
     T([2], [(7, 5)[k] for k in best(biased)]), softmax(biased, [1]))
svs, coef = T([6], [e * 0.5 for e in w23.v]), T([2], [0.5, -1])
rbf = make([2, 2], lambda i: math.exp(-0.25 * sum((m3.at((i[0], k)) - svs.v[3 * i[1] + k]) ** 2 for k in range(3))))
case("svm_rows", [m3, svs, T([3], [0.25, 0, 0]).known()], "n=i:2 kernel=s:RBF", rbf)
decision = [sum(rbf.at((i, k)) * coef.v[k] for k in range(2)) + 0.25 for i in range(2)]
case("svm_regressor", [m3, coef, T([1], [0.25]).known(), svs, T([3], [0.25, 0, 0]).known()],
     "kernel_type=s:RBF n_supports=i:2", T([2, 1], decision))
case("svm_regressor", [m3, T([3], w23.v[:3]), T([1], [0]).known()], "one_class=i:1",
     T([2, 1], [1 if linear.at((i, 0)) > 0 else -1 for i in range(2)]))
case("svm_decide", [m3, T([2, 1], coef.v), T([1, 2], [1, -1]), T([1], [0.25]), svs, T([3], [0.25, 0, 0]).known(), T([1], [2]),
                    T([1], [0.5]), None, T([2], [7, 5], "i64")], "kernel=s:RBF", T([2], [7 if d > 0 else 5 for d in decision]),
     T([2, 2], sum([[-d, d] for d in decision], [])), T([2, 1], [sigmoid(-(2 * d + 0.5)) for d in decision]))
case("scaler", [m3, v3, T([1], [2])], "", make([2, 3], lambda i: (m3.at(i) - v3.v[i[1]]) * 2))
case("binarizer", [m3], "threshold=f:0.5", each(lambda v: float(v > 0.5), m3))
case("binarizer", [T([3], [-2, -1, 0], "i32")], "threshold=f:-1.5", T([3], [0, 1, 1]))
case("imputer", [T([2, 2], [1, 2, 3, 1]), T([2], [8, 9]), None, T([], [0], "i64")], "replaced_value_float=f:1",
     T([2, 2], [8, 2, 3, 9]))
case("imputer", [T([2], [1, 2], "i64"), None, T([1], [9], "i64"), T([], [2], "i64")], "", T([2], [1, 9]))
case("one_of", [None, None, v3], "", v3)
case("at_end", [v3], "", T([], [3]))
codes, halves = T([2], [3, 5], "i64"), T([2], [0.5, 1.5])
case("look_up_any", [T([2, 2], [3, 4, 5, 3], "i64"), codes, halves, T([1], [-1])], "", T([2, 2], [0.5, -1, 1.5, 0.5]))
case("one_hot_encoder", [T([2], [5, 4], "i64"), None, codes], "", T([2, 2], [0, 1, 0, 0]))

moved = rand(2, 1, 3)
whole = lambda *v: T([len(v)], v, "i64").known()
case("transpose_by", [m3], "", make([3, 2], lambda i: m3.at(i[::-1])))
case("transpose_by", [moved], "perm=l:1,0,2", T([1, 2, 3], moved.v))
case("reshape_to", [moved, whole(0, -1)], "", T([2, 3], moved.v))
case("reshape_to", [moved], "shape=l:3,2", T([3, 2], moved.v))
case("flatten", [moved], "axis=i:-1", T([2, 3], moved.v))
case("squeeze_axes", [moved, whole(-2)], "", T([2, 3], moved.v))
case("squeeze_axes", [moved], "", T([2, 3], moved.v))
case("unsqueeze_axes", [m3, whole(0, -1)], "", T([1, 2, 3, 1], m3.v))
case("expand_to", [moved, whole(2, 1)], "", make([2, 2, 3], lambda i: moved.at((i[0], 0, i[2]))))
case("slice_ranges", [m3, whole(5, 0), whole(-9, 2)], "steps=l:-1,1", make([2, 2], lambda i: m3.at((1 - i[0], i[1]))))
case("slice_ranges", [m3], "starts=l:1 ends=l:99 axes=l:-1 steps=l:2", make([2, 1], lambda i: m3.at((i[0], 1))))
case("center_crop_pad", [m3, whole(1, 4)], "", make([1, 4], lambda i: m3.at((0, i[1])) if i[1] < 3 else 0))
case("shape_of", [moved], "start=i:-2", T([2], [1, 3]))
case("size_of", [moved], "", T([], [6]))
case("one_hot", [T([2], [1, -1], "i64"), whole(3), T([2], [0.5, 2])], "axis=i:0", T([3, 2], [0.5, 0.5, 2, 0.5, 0.5, 2]))
case("pad_to", [m3, whole(1, -1), None, whole(-1)], "mode=s:edge", make([2, 3], lambda i: m3.at((i[0], max(i[1] - 1, 0)))))
case("pad_to", [m3], "pads=l:0,0,1,-1 value=f:7", make([3, 2], lambda i: m3.at(i) if i[0] < 2 else 7))
case("pad_to", [m3, whole(0, 2, 0, 0)], "mode=s:reflect", make([2, 5], lambda i: m3.at((i[0], abs(i[1] - 2)))))
case("pad_to", [m3, whole(0, 1, 0, 0), T([], [2])], "", make([2, 4], lambda i: m3.at((i[0], i[1] - 1)) if i[1] else 2))
case("pad_to", [m3, whole(0, 1, 0, 0)], "mode=s:wrap", make([2, 4], lambda i: m3.at((i[0], (i[1] - 1) % 3))))
# TFLite's moves.
case("shaped", [m3], "out=l:3,2", T([3, 2], m3.v))
case("spread_to", [v3], "out=l:2,3", T([2, 3], v3.v * 2))
case("permute", [m3, whole(1, 0)], "", make([3, 2], lambda i: m3.at(i[::-1])))
case("part_of", [m3, whole(1, 1), whole(-1, 1)], "", T([1, 1], [m3.at((1, 1))]))
case("reverse_axes", [m3, whole(-1)], "", make([2, 3], lambda i: m3.at((i[0], 2 - i[1]))))
case("gather_tuples", [m3, T([1, 2, 2], [1, 0, 0, 2], "i32")], "", T([1, 2], [m3.at((1, 0)), m3.at((0, 2))]))
case("gather_tuples", [m3, T([1, 1], [1], "i32")], "", T([1, 3], m3.v[3:]))
case("padded", [m3, T([2, 2], [1, 0, 0, 2], "i32").known()], "zero=i:5", make([3, 5], lambda i: m3.at((i[0] - 1, i[1])) if i[0] and i[1] < 3 else 5))
case("padded", [m3, whole(0, 0, 0, 1), T([], [2]).known()], "zero=i:5", make([2, 4], lambda i: m3.at(i) if i[1] < 3 else 2))
case("filled", [whole(2, 2), T([1], [3])], "out=l:2,2", T([2, 2], [3] * 4))
case("zeros_of", [m3], "out=l:2,3 to=s:i8", T([2, 3], [0] * 6))
case("converted", [T([2], [1.5, -2.5])], "to=s:i32", T([2], [1, -2]))
case("dims_of", [m3], "to=s:i32", T([2], [2, 3]))
case("broadcast_dims", [whole(2, 1, 3), whole(4, 1)], "to=s:i32", T([3], [2, 4, 3]))
case("select_first", [T([2], [1, 0], "bool"), m3, v3], "", make([2, 3], lambda i: v3.at(i) if i[0] else m3.at(i)))
case("select_last", [T([3], [1, 0, 0], "bool"), m3, v3], "", make([2, 3], lambda i: v3.at(i) if i[1] else m3.at(i)))
case("squared", [m3], "quantized=i:0", each(lambda v: v * v, m3))
odds = T([4], [7, -7, 7, -7], "i32"), T([4], [2, 2, -2, -2], "i32")
case("floor_mod", odds, "quantized=i:0", T([4], [1, 1, -1, -1]))
case("floor_div", odds, "quantized=i:0", T([4], [3, -4, -4, 3]))
case("floor_div", [m3, T([], [0.5])], "quantized=i:0", each(lambda v: math.floor(v / 0.5), m3))
case("log_softmax_last", [m3], "", each(lambda v, s: v - s, m3, reduce(m3, [1], lse)))
case("running_sum", [m3, whole(1)], "", make([2, 3], lambda i: sum(m3.at((i[0], k)) for k in range(i[1] + 1))))
case("running_sum", [m3], "axis=i:-2 reverse=i:1 exclusive=i:1", make([2, 3], lambda i: 0 if i[0] else m3.at((1, i[1]))))
case("running_prod", [m3, whole(-1)], "exclusive=i:1", make([2, 3], lambda i: math.prod(m3.at((i[0], k)) for k in range(i[1]))))
case("gather_along", [m3, T([1], [2], "i32")], "axis=i:-1 batch_dims=i:0", make([2, 1], lambda i: m3.at((i[0], 2))))
case("entries_of", [T([1], [1], "i32"), m3], "", T([1, 3], m3.v[3:]))
nhwc = rand(1, 2, 4, 1)
nested = make([1, 1, 2, 4], lambda i: nhwc.at((0, i[3] // 2, 2 * i[2] + i[3] % 2, 0)))
case("blocks_to_channels", [nhwc], "block_size=i:2 out=l:1,1,2,4", nested)
case("channels_to_blocks", [nested], "block_size=i:2 out=l:1,2,4,1", nhwc)
strips = make([2, 2, 3, 1], lambda i: nhwc.at((0, i[1], 2 * i[2] + i[0], 0)) if i[2] < 2 else 5)
case("space_to_batch", [nhwc, whole(1, 2), T([2, 2], [0, 0, 0, 2], "i64").known()], "zero=i:5 out=l:2,2,3,1", strips)
case("batch_to_space", [strips, whole(1, 2), T([2, 2], [0, 0, 0, 2], "i64").known()], "", nhwc)
ranked = T([1, 4], [3, 1, 4, 1])
case("top_k", [ranked, whole(2)], "", T([1, 2], [4, 3]), T([1, 2], [2, 0]))
case("top_k", [ranked], "k=i:2 largest=i:0", T([1, 2], [1, 1]), T([1, 2], [1, 3]))

# Strings: a row of char, which zeros fill.
def chars(dims, *words):
    w = dims[-1]
    return T(dims, [b for s in words for b in s.encode().ljust(w, b"\0")], "char")


def words(x):
    w = x.dims[-1]
    return [bytes(x.v[i:i + w]).rstrip(b"\0").decode() for i in range(0, len(x.v), w)]


cs = chars([2, 2, 4], "ab", "", "Zz\u00e9", "{@[`")
keys = chars([3, 4], "Zz\u00e9", "ab", "ab")
other_text = chars([3], "no")
case("widen", [keys], "width=i:5", chars([3, 5], "Zz\u00e9", "ab", "ab"))
case("look_up_any", [cs, chars([2, 2], "ab", "q"), halves, T([], [-1])], "", T([2, 2], [0.5, -1, -1, -1]))
case("look_up_any", [codes, codes, chars([2, 2], "ab", "q"), other_text], "", chars([2, 3], "ab", "q"))
case("label_encoder", [T([3], [3, 4, 5], "i64"), None, codes, None, None, None, None, None, chars([2, 2], "ab", "q"), None,
                       T([], [-1]), T([], [0], "i64"), other_text], "", chars([3, 3], "ab", "no", "q"))
case("label_encoder", [T([3], [3, 4, 5], "i64"), None, codes, None, None, None, None, halves, None, None,
                       T([], [-1]), T([], [0], "i64"), other_text], "", T([3], [0.5, -1, 1.5]))
case("category_mapper", [cs, chars([2, 2], "ab", "q"), codes, other_text, T([], [-1], "i64")], "", T([2, 2], [3, -1, -1, -1]))
case("category_mapper", [T([2], [5, 9], "i64"), chars([2, 2], "ab", "q"), codes, other_text, T([], [-1], "i64")], "",
     chars([2, 3], "q", "no"))
case("one_hot_encoder", [chars([2, 2], "q", "x"), chars([2, 2], "ab", "q")], "", T([2, 2], [0, 1, 0, 0]))
case("string_eq", [cs, chars([2, 4], "ab", "{@[`")], "", T([2, 2], [1, 0, 0, 1]))
case("string_find", [cs, keys], "", T([2, 2], [1, -1, 0, -1]))
case("string_length", [cs], "", T([2, 2, 1], [len(s.encode()) for s in words(cs)]))
case("string_concat", [cs, chars([2, 1, 3], "x", "yz")], "",
     chars([2, 2, 7], "abx", "x", "Zz\u00e9yz", "{@[`yz"))
case("string_upper", [cs], "", chars([2, 2, 4], "AB", "", "ZZ\u00e9", "{@[`"))
case("string_lower", [cs], "", chars([2, 2, 4], "ab", "", "zz\u00e9", "{@[`"))
case("string_fields", [T([1, 5], [0, 1, 1, 0, 1], "bool")], "most=i:2",
     T([1, 5], [0, 1, 1, 0, 0]), T([1, 5], [0, 1, 2, 2, 2]))
case("string_runs", [T([2, 5], [0, 1, 1, 0, 1, 1, 0, 0, 1, 1], "bool")], "",
     T([2, 5], [-1, 0, 0, 0, 1, 0, 0, 0, 1, 1]))
case("string_words", [chars([2, 7], " a  b c", "ab")], "most=i:1",
     T([2, 7], [0, 1, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]),
     T([2, 7], [-1, 0, 0, 0, 1, 1, 1] + [0] * 7))
piece = T([2, 4], [0, 0, 1, 1, 0, 1, 2, 2], "i32")
case("string_count", [piece], "", T([2], [2, 3]))
case("string_pieces", [chars([2, 4], "a.bc", "..d"), T([2, 4], [1, 0, 1, 1, 0, 0, 1, 0], "bool"), piece],
     "n=i:3", chars([2, 3, 4], "a", "bc", "", "", "", "d"))
# Fixed point: functions of reals, to the last bits of 31.
halves = T([2, 4], [0.5, -0.5, 1.5, -1.5, 2.4, -2.6, 0.49999997, 8388609.0])
case("round_away", [halves], "", each(lambda v: math.copysign(math.floor(abs(v) + 0.5), v), halves))


def quantized_rows(x, asymmetric):
    q, steps = [], []
    for r in range(x.dims[0]):
        v = [x.at((r, i)) for i in range(x.dims[1])]
        lo, hi = min(v + [0]), max(v + [0])
        s = (hi - lo) / 255 if asymmetric else max(-lo, hi) / 127
        z = clip(round(-128 - lo / (s or 1)), -128, 127) if asymmetric else 0
        q += [clip(round(z + e / s), -128 if asymmetric else -127, 127) - z if s else 0 for e in v]
        steps.append(s)
    return T(x.dims, q, "i32"), T([len(steps), 1], steps)


wide = T([3, 4], [0.3, -0.71, 1.1, 0.2] + [0] * 4 + [5, 7, 6, 5.6])
for asymmetric in 0, 1:
    case("quantized_rows", [wide], "axes=l:1 asymmetric=i:%d" % asymmetric,
         *quantized_rows(wide, asymmetric))


def block_product(x, w, scale, zero):
    def one(i):
        total = 0
        for b in range(w.dims[0]):
            v = [x.at((i[0], b, k)) for k in range(w.dims[1])]
            most = max(map(abs, v))
            q = [round(a * 127 / most) if most else 0 for a in v]
            total += scale.at((b, i[1])) * most / 127 * sum(
                a * (w.at((b, k, i[1])) - zero.at((b, i[1]))) for k, a in enumerate(q))
        return total
    return make([x.dims[0], w.dims[2]], one)


for zero in T([], [8], "u8"), rand(2, 3, lo=0, hi=15, dtype="u8"):
    blocks = [T([2, 2, 4], [0.3, -0.71, 1.1, 0.2] + [0] * 4 + [5, 7, 6, 5.6, -4, 2, 1, 0.5]),
              rand(2, 4, 3, lo=0, hi=15, dtype="u8"), rand(2, 3), zero]
    case("block_product", blocks, "", block_product(*blocks))
case("rounded_quotient", [T([6], [7, -7, 6, -6, 5, -5], "i32"), T([], [4], "i32")], "", T([6], [2, -2, 2, -2, 1, -1]))
fixed = lambda v, bits: round(v * 2 ** (31 - bits))
reals = [-0.0, -0.03, -0.25, -0.7, -1.5, -2.2, -5.3, -9.1, -15.9]
for bits in (4, 5):
    f = T([9], [fixed(v, bits) for v in reals], "i32")
    case("fixed_exp", [f], "bits=i:%d" % bits, T([9], [min(fixed(math.exp(v), 0), 2 ** 31 - 1) for v in reals]))
case("exp_step", [T([2], [2 ** 30] * 2, "i32"), T([2], [8, 16], "i32")], "bit=i:16 m=i:1073741824", T([2], [2 ** 30, 2 ** 29]))
unit = T([5], [fixed(v, 0) for v in (0, 0.1, 0.5, 0.75, 0.999)], "i32")
case("fixed_inverse", [unit], "", each(lambda v: fixed(2 / (1 + v / 2 ** 31), 2), unit))
case("newton", [T([1], [fixed(1.1, 2)], "i32"), T([1], [fixed(0.9, 0)], "i32")], "", T([1], [fixed(1.1 + 1.1 * (1 - 0.99), 2)]))
case("fixed_saturate", [T([3], [2 ** 30, -2 ** 30 - 1, 5], "i32")], "bits=i:1", T([3], [2 ** 31 - 1, -2 ** 31, 10]))
case("fixed_saturate", [T([3], [2 ** 29, -2 ** 29 - 1, 5], "i32")], "bits=i:2", T([3], [2 ** 31 - 1, -2 ** 31, 20]))
both = T([7], [fixed(v, 4) for v in (-7.5, -1, -0.1, 0, 0.1, 2, 7.9)], "i32")
case("fixed_logistic", [both], "", each(lambda v: fixed(sigmoid(v / 2 ** 27), 0), both))
case("fixed_tanh", [both], "", each(lambda v: min(fixed(math.tanh(v / 2 ** 27), 0), 2 ** 31 - 1), both))
case("normalize_step", [T([2], [255, 2 ** 24], "u32"), T([2], [3, 3], "i32")], "by=i:8", T([2], [255 << 8, 2 ** 24]), T([2], [11, 3]))
case("normalize", [T([3], [1, 2 ** 30, 12345], "i32")], "", T([3], [-2 ** 31, -2 ** 31, (12345 << 18) - 2 ** 32]), T([3], [31, 1, 18]))
sigmoids = T([256], [int(65536 * sigmoid(i / 24)) for i in range(256)], "i32")


def sigmoid_16(v, bits):
    whole, part = abs(v) >> bits, abs(v) % (1 << bits)
    if whole > 254:
        return 0x7fff << 10 if bits == 9 else 0xffff << 8
    return (sigmoids.v[whole] << bits) + part * (sigmoids.v[whole + 1] - sigmoids.v[whole])


steps = T([6], [0, 700, -700, 99999, -130000, 130560], "i32")
case("sigmoid_16", [steps, sigmoids], "bits=i:9 unit=i:512 most=i:33553408", each(lambda v: sigmoid_16(v, 9), steps))
case("logistic_16", [steps, sigmoids], "", each(
    lambda v: (sigmoid_16(v, 9) + 512 if v >= 0 else (1 << 25) - sigmoid_16(v, 9) + 511) >> 10, steps))
case("tanh_16", [steps, sigmoids], "", each(
    lambda v: (sigmoid_16(v, 8) - (1 << 23) + 128 if v >= 0 else (1 << 23) - sigmoid_16(v, 8) + 127) >> 8, steps))
powers = T([2, 3], [fixed(v, 0) for v in (0.9999, 0.5, 0.25, 0.125, 0.9999, 0)], "i32")
case("fixed_softmax", [powers], "size=i:8", each(lambda v, s: round(v * 2 ** 8 / s), powers, reduce(powers, [1], sum)))
over, under = T([6], [100, -255, 7, -1, 0, 255], "i32"), T([6], [3, 255, -50, -1, 9, -100], "i32")
case("fixed_quotient", [over, under], "m=i:1342177280 shift=i:10", each(lambda a, b: round(a / b * 640), over, under))
roots = T([5], [fixed(v, 3) for v in (1, 1.1, 1.3, 1.6, 1.9)], "i32")
case("root_step", [roots, T([], [fixed(0.15, 3)], "i32")], "",
     each(lambda v: fixed(1.5 * v / 2 ** 28 - 0.15 * (v / 2 ** 28) ** 3, 3), roots))
squares = T([7], [0, 1, 7, 30, 120000, 2 ** 29 - 9, 2 ** 31 - 1], "i32")
shifts = [0, 0, 0, 0, -5, -11, -12]
case("inverse_root", [squares], "", T([7], [min(round(2.0 ** (31 - n) / math.sqrt(max(v, 1))), 2 ** 31 - 1)
                                         for v, n in zip(squares.v, shifts)]), T([7], shifts))
case("fixed_rsqrt", [T([4], [1, 4, 30, 255], "i32")], "", T([4], [2 ** 20, 2 ** 19, round(2 ** 20 / math.sqrt(30)), round(2 ** 20 / math.sqrt(255))]))
lengths = T([2, 2], [30, -40, 5, 12], "i32")
case("fixed_l2_norm", [lengths], "", T([2, 2], [77, -102, 49, 118]))
case("l2_norm", [T([3, 2], [3, -4, 5, 12, 0, 0])], "", T([3, 2], [3 / 5, -4 / 5, 5 / 13, 12 / 13, 0, 0]))
lines = T([513], [i * 10 for i in range(513)], "i32")
case("look_up_16", [T([4], [-40000, -32768, 64, 32767], "i32"), lines], "", T([4], [0, 0, 2565, 5120]))
falls = T([2, 3], [0, -6554, -65535, 0, 0, 0], "i32")
case("softmax_16", [falls] + [T([513], [min(round(2 ** 15 * f(i / 512)), 32767) for i in range(513)], "i32")
                              for f in (lambda v: math.exp(10 * v - 10), lambda v: 1 / (1 + v))], "",
     T([2, 3], [23955, 8813, 1] + [10922] * 3))
# Boxes: the second lies over the first, the third far from both.
boxes = [T([1, 3, 4], [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]), T([1, 3, 3], [9, .9, .1, 9, .8, .7, 9, .3, .4]),
         T([3, 4], [.5, .5, 1, 1, .5, .5, 1, 1, 3, 3, 1, 1]), T([4], [10, 10, 5, 5]), T([], [.5]), None]
near, slid, far = [0, 0, 1, 1], [.1, 0, 1.1, 1], [2.5, 2.5, 3.5, 3.5]
case("detection", boxes, "classes=i:2 most=i:3 room=i:6 picks=i:2 steps=i:3 low=f:0.2 regular=i:0",
     T([1, 6, 4], near * 2 + far * 2 + [0] * 8), T([1, 6], [0, 1, 1, 0, 0, 0]), T([1, 6], [.9, .1, .4, .3, 0, 0]), T([1], [2]))
case("detection", boxes, "classes=i:2 most=i:3 room=i:4 picks=i:1 steps=i:2 low=f:0.2 regular=i:1",
     T([1, 4, 4], near + slid + far + [0] * 4), T([1, 4], [0, 1, 1, 0]), T([1, 4], [.9, .7, .4, 0]), T([1], [3]))
case("in_rows", [T([2, 1], [3, 4])], "w=i:2 room=i:5", T([1, 5], [3, 0, 4, 0, 0]))
# The audio front end.
sound = T([4], [100, -3, 32767, -32768], "i16")
case("signal_window", [sound, T([4], [4096, 2048, 4097, 8192], "i16")], "shift=i:12", T([4], [100, -2, 32767, -32768]))
case("signal_scale", [T([3], [100, -3, 0], "i16")], "", T([3], [25600, -768, 0]), T([], [8]))
case("signal_scale", [sound], "", sound, T([], [0]))
case("fft_part", [T([3], [100, -100, 32767], "i32")], "by=i:8191 half=i:16384 bits=i:15", T([3], [25, -25, 8191]))
wave = [T([3], v, "i32") for v in ([3000, -3000, 0], [1000, 7, -9], [16384, 0, 32767], [-16384, 32767, 0])]
turns = [complex(a, b) * complex(c, d) / 32768 for a, b, c, d in zip(*(t.v for t in wave))]
case("fft_turn", wave, "half=i:16384 bits=i:15", T([3], [math.floor(v.real + 0.5) for v in turns]), T([3], [math.floor(v.imag + 0.5) for v in turns]))
case("fft_turn", [T([1], [v]) for v in (1.5, -2, 0.5, 0.25)], "half=i:0 bits=i:0", T([1], [1.25]), T([1], [-0.625]))
case("signal_energy", [T([3, 2], [3, 4, -32768, -32768, 1, 1], "i16")], "start_index=i:0 end_index=i:2 out=l:3", T([3], [25, 2 ** 31, 0]))
case("root_bit", [T([2], [30, 3], "u64"), T([2], [0, 4], "u64")], "bit=i:16", T([2], [14, 3]), T([2], [16, 2]))
tops = T([5], [0, 10, 12, 65535 ** 2 + 65536, 2 ** 40 + 2 ** 21], "u64")
case("root_round", [T([5], [v - math.isqrt(v) ** 2 for v in tops.v], "u64"), T([5], [math.isqrt(v) for v in tops.v], "u64"),
                    tops, T([], [1], "i32")], "", T([5], [0, 1, 1, 32767, 524288]))
case("root_from", [T([2], [30, 19], "u64"), T([2], [0, 0], "u64"), T([2], [30, 19], "u64"), T([], [0], "i32")], "bit=i:16", T([2], [5, 4]))
case("signal_root", [tops, T([], [1], "i32")], "", T([5], [0, 1, 1, 32767, 524288]))
stack = [T([1, 2], [7, 8], "i16"), T([2, 2], [1, 2, 3, 4], "i16")]
for count, before, full, after in ((0, [7, 8, 7, 8], False, 3), (3, [1, 2, 3, 4], True, 2)):
    case("signal_stack", [*stack, T([], [count], "i32")], "left=i:1 right=i:1 step=i:2", T([3, 2], before + [7, 8]),
         T([], [full]), T([2, 2], before[2:] + [7, 8]), T([], [after]))
for kind, most in (("i16", 32767), ("f32", 32767 + 5)):
    case("signal_overlap", [T([1, 3], [32767, 2, -3], kind), T([1, 3], [5, 6, 7], kind)], "step=i:2",
         T([1, 2], [most, 8]), T([1, 3], [4, 0, 0]))
loud, known = T([2], [1000, 10], "u32"), T([2], [500000, 90000], "u32")
shares = T([2], [4096, 4096], "u64"), T([2], [12288, 12288], "u64")
noises = [(x * 1024 + 3 * k) // 4 for x, k in zip(loud.v, known.v)]
for clamps in (0, 1):
    case("signal_noise", [loud, known, *shares], "least=i:819 up=i:10 bits=i:14 clamps=i:%d" % clamps,
         T([2], [max((1024 * x - min(k, 1024 * x)) // 1024, x * 819 // 16384) for x, k in zip(loud.v, noises)]),
         T([2], [min(k, 1024 * x) if clamps else k for x, k in zip(loud.v, noises)]))
gains = T([125], [2000 - i for i in range(125)], "i16")


def gain(x, noise):
    at, part = noise, 0
    if noise > 2:
        at, part = 4 * noise.bit_length() - 6, (noise << 32 >> noise.bit_length() + 21) % 1024
    low, one, two = gains.v[at:at + 3]
    g = low + (((two * part >> 5) + one * 32) * part + 16384 >> 15) if noise > 2 else low
    snr = x * g >> 6
    return snr * snr >> 20 if snr < 8192 else (snr >> 6) - 64


pairs = T([4], [100, 900, 5, 70000], "u32"), T([4], [0, 3, 1025, 99999], "u32")
case("signal_gain", [*pairs, gains], "snr_shift=i:6", T([4], list(map(gain, pairs[0].v, pairs[1].v))))
chords = T([130], [round(65536 * math.log2(1 + i / 128) - 512 * i) if i < 129 else 0 for i in range(130)], "i32")
case("signal_log", [T([5], [0, 1, 12, 3000, 99999999], "u32"), chords], "up=i:3 scale=i:64",
     T([5], [0] + [round(64 * math.log(8 * v)) for v in (1, 12, 3000, 99999999)]))
pv = rand(1, 1, 3)
case("picked", [pv, T([1, 2, 1], [2, 0], "i32")], "shape=l:1,2,3", T([1, 2, 1], [pv.v[2], pv.v[0]]))
ends = [T([1, 1, 3], v) for v in ([0, 0, 5], [0, 0.5, 0], [1, 1, 6], [1, 1.5, 1])]
nms = [T([1, 2, 3], [1, 3, 2, -math.inf, -math.inf, -math.inf]), *ends, T([], [0.3])]
nms_rest = T([1, 2, 3], [-math.inf, -math.inf, 2] + [-math.inf] * 3)
case("nms_step", [nms[0], None, *nms[1:]], "", nms_rest, T([1, 2, 1], [1, 0]), T([1, 2, 1], [1, 0]))
case("nms_step", [nms[0], T([], [2], "i64"), *nms[1:], T([], [2], "i64")], "", nms_rest, T([1, 2, 1], [1, 0]), T([1, 2, 1], [0, 0]))
boxes = T([1, 2, 4], [3, 1, 2, 5, 4, 0, 6, 1])
case("box_ends", [boxes], "at=i:0 center=i:0", T([1, 1, 2], [2, 4]), T([1, 1, 2], [3, 6]))
case("box_ends", [boxes], "at=i:1 center=i:1", T([1, 1, 2], [-1.5, -0.5]), T([1, 1, 2], [3.5, 0.5]))
chosen = T([5], [0, 1, 1, 0, 1], "bool")
case("zeros", [chosen], "n=i:2", T([2], [0, 0]))
for n in 3, 2:
    case("selected", [chosen], "n=i:%d" % n, T([n], [1, 2, 4][:n]))
entries = [[1, 2], [1, 1], [0, 5], [1, 2]]
case("rank_entries", [T([2, 4], [e[k] for k in range(2) for e in entries])], "axis=i:1",
     T([4], [sum(o < e for o in entries) for e in entries]))
keys = [3, 1, 3, 0, 1, 3]
case("sort_groups", [T([6], keys)], "", T([6], [3, 1, 4, 0, 2, 5]), T([6], [1, 1, 0, 1, 0, 0]))
groups = [T([6], [3, 1, 4, 0, 2, 5], "i32"), T([6], [1, 1, 0, 1, 0, 0], "bool")]
groups.append(T([], [3], "i64"))
case("unique", groups, "n=i:3 sorted=i:1", T([3], [3, 1, 0]), T([6], [2, 1, 2, 0, 1, 2]), T([3], [1, 2, 3]))
case("unique", groups, "n=i:3 sorted=i:0", T([3], [0, 1, 3]), T([6], [0, 1, 0, 2, 1, 0]), T([3], [3, 2, 1]))
px = lambda h, w: "h=i:%d w=i:%d" % (h, w)
image = rand(6, 2)  # 2x3 elements of 2 channels
elem = lambda y, x: image.v[2 * (y * 3 + x):][:2] if 0 <= y < 2 and 0 <= x < 3 else [0, 0]
def blend(y, x):
    v, u = math.floor(y), math.floor(x)
    return [sum(w * e for w, e in zip([(v + 1 - y) * (u + 1 - x), (v + 1 - y) * (x - u), (y - v) * (u + 1 - x), (y - v) * (x - u)], t))
            for t in zip(elem(v, u), elem(v, u + 1), elem(v + 1, u), elem(v + 1, u + 1))]
py, pxs, zero = [0.25, -0.5, 1.5, 1], [1.75, 0.5, 2.25, 2], T([1], [0], "i32")
for edge in 0, -0.5:
    case("mirrored", [T([5], [-3, -0.75, 1.25, 3, 9])], "lo=f:%s hi=f:%s" % (edge, 2 - edge), T([5], [
        (lambda m, n: edge + (m if m <= n else 2 * n - m))((v - edge) % (4 - 4 * edge), 2 - 2 * edge) for v in (-3, -0.75, 1.25, 3, 9)]))
keys = lambda t: ((1.25 * t - 2.25) * t * t + 1) if t <= 1 else -0.75 * (t ** 3 - 5 * t * t + 8 * t - 4) if t < 2 else 0
for near, at in (1, [0, 0.25, 1]), (0, [1, 1.5, 2]):
    case("keys", [T([3], at)], "near=i:%d" % near, T([3], map(keys, at)))
places = rand(2, 1, 3, 2)
case("grid_at", [places], "at=i:1 size=i:5 align=i:1", T([2, 3], [2 * (e + 1) for e in places.v[1::2]]))
case("grid_at", [places], "at=i:0 size=i:5 align=i:0", T([2, 3], [((e + 1) * 5 - 1) / 2 for e in places.v[::2]]))
spots = [0.25, 2.75, -0.75]
for mode, k, at, weight in [("nearest", 0, [0, 3, -1], [1, 1, 1]), ("bilinear", 1, [1, 3, 0], [0.25, 0.75, 0.25]),
                            ("cubic", -1, [-1, 1, -2], [keys(1.25), keys(1.75), keys(1.25)])]:
    for outside in "zeros", "border", "reflection":
        case("grid_tap", [T([3], spots)], "k=i:%d mode=s:%s outside=s:%s size=i:3 align=i:0" % (k, mode, outside),
             T([3], [(-1 - e if e < 0 else 5 - e if e > 2 else e) if outside == "reflection" else clip(e, 0, 2) for e in at]),
             *([] if mode == "nearest" else [T([3], [w * (outside != "zeros" or 0 <= e <= 2) for e, w in zip(at, weight)])]))
case("pixel", [T([1], [6], "i32"), T([2], [1, 5]), T([2], [2, -1])], px(2, 3), T([2], [11, 9]))
case("within", [T([4], [-1, 0, 2, 3]), T([4], [1, 2, 3, 4])], "size=i:3", T([4], [0, 2, 3, 0]))
case("tap", [image, T([2], [4, 1], "i32"), T([2], [2, 3])], "", T([2, 2], [2 * e for e in image.v[8:10]] + [3 * e for e in image.v[2:4]]))
case("bilinear", [image, zero, T([4], py), T([4], pxs)], px(2, 3), T([4, 2], sum(map(blend, py, pxs), [])))
case("roi_samples", [image, zero, T([4], [0.25, -0.5, -1.5, 1]), T([4], [1.75, 0.5, 1, 3.5])], px(2, 3),
     T([4, 2], blend(0.25, 1.75) + blend(0, 0.5) + [0] * 4))
region = rand(2, 5, lo=0, hi=4)
for half in 0, 1:
    ends_of = lambda i, k: 0.5 * region.at((i, k)) - 0.5 * half
    case("roi_places", [region], "at=i:1 scale=f:0.5 points=i:4 half=i:%d" % half, make([2, 4], lambda i: ends_of(i[0], 1) + (
        ends_of(i[0], 3) - ends_of(i[0], 1) if half else max(ends_of(i[0], 3) - ends_of(i[0], 1), 1)) * (i[1] + 0.5) / 4))
pooled, parts = rand(1, 2, 3, 4), T([1, 5], [0, 1, 0, 2, 2])
case("max_bins", [pooled, parts], "at=i:1 scale=f:1 bins=i:1 dim=i:3", make([1, 2, 3, 1], lambda i: max(pooled.at((0, i[1], i[2], k)) for k in (1, 2))))
case("max_bins", [pooled, parts], "at=i:2 scale=f:1 bins=i:3 dim=i:2", pooled)
case("roi_bins", [T([1, 1], [1]), T([1, 1], [4])], "bins=i:2 size=i:6", T([1, 2, 6], [0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0]))
dm = [[0, 2, 1], [-4, 1, 3], [2, 1, 1]]
case("det_step", [T([1, 3, 3], sum(dm, []))], "", T([1, 1, 1], [4]), T([1, 2, 2], [2, 1, 1.5, 2.5]))
tx, tg, tv, th = rand(3), rand(3), rand(3), rand(3, lo=1, hi=2)
rate, when = T([], [0.1]), T([], [2], "i64")
case("regularized", [tx, tg], "by=f:0.5", each(lambda a, g: 0.5 * a + g, tx, tg))
case("adagrad", [rate, when, tx, tg, th], "decay_factor=f:0.5 epsilon=f:0.25",
     each(lambda a, g, h: a - 0.05 * g / (math.sqrt(h + g * g) + 0.25), tx, tg, th), each(lambda g, h: h + g * g, tg, th))
adam_m = lambda g, v: 0.5 * v + 0.5 * g
adam_s = lambda g, h: 0.75 * h + 0.25 * g * g
case("adam", [rate, when, tx, tg, tv, th], "alpha=f:0.5 beta=f:0.75 norm_coefficient_post=f:0.5",
     each(lambda a, g, v, h: (a - 0.1 * math.sqrt(1 - 0.75 ** 2) / (1 - 0.5 ** 2) * adam_m(g, v) / math.sqrt(adam_s(g, h))) / 2, tx, tg, tv, th),
     each(adam_m, tg, tv), each(adam_s, tg, th))
case("momentum", [rate, when, tx, tg, tv], "alpha=f:0.5 beta=f:0.25 mode=s:nesterov norm_coefficient=f:0",
     each(lambda a, g, v: a - 0.1 * (g + 0.5 * (0.5 * v + 0.25 * g)), tx, tg, tv), each(lambda g, v: 0.5 * v + 0.25 * g, tg, tv))
case("drop", [T([3], [1, 2, 3]), T([], [0.5]), T([], [1], "bool"), T([3], [0.25, 0.5, 0.75])], "", T([3], [0, 4, 6]), T([3], [0, 1, 1]))
wide = rand(2, 3, 8)
heads4 = make([2, 4, 3, 2], lambda i: wide.at((i[0], i[2], i[1] * 2 + i[3])))
case("split_heads", [wide], "heads=i:4", heads4)
case("join_heads", [heads4], "", wide)
case("repeat_heads", [heads4], "heads=i:8", make([2, 8, 3, 2], lambda i: heads4.at((i[0], i[1] // 2, *i[2:]))))
case("repeat_heads", [heads4], "heads=i:4", heads4)
aq, ak, av, abias = rand(1, 2, 2, 3), rand(1, 2, 4, 3), rand(1, 2, 4, 2), rand(2, 4)
seen = T([2, 4], [1, 0, 1, 0, 0, 0, 0, 0], "bool")
def attended(bias, mask, cap):
    raw = make([1, 2, 2, 4], lambda i: 0.5 * sum(aq.at((0, *i[1:3], d)) * ak.at((0, i[1], i[3], d)) for d in range(3)))
    capped = each(lambda v: cap * math.tanh(v / cap), raw) if cap else raw
    low = make(raw.dims, lambda i: (capped.at(i) if not mask or mask.at(i[2:]) else -math.inf) + (bias.at(i[2:]) if bias else 0))
    total = lambda i: sum(math.exp(low.at((*i[:3], t))) for t in range(4))
    p = make(raw.dims, lambda i: math.exp(low.at(i)) / total(i) if total(i) else 0)
    return [make([1, 2, 2, 2], lambda i: sum(p.at((*i[:3], t)) * av.at((*i[:2], t, i[3])) for t in range(4))), raw, capped, low, p]
case("attend", [aq, ak, av], "scale=f:0.5 softcap=i:0 masked=f:-inf precision=s:f32 guard=i:0", *attended(None, None, 0))
case("attend", [aq, ak, av, seen, abias], "scale=f:0.5 softcap=f:2 masked=f:-inf precision=s:f32 guard=i:1", *attended(abias, seen, 2))
visible = lambda rows: T([len(rows), len(rows[0])], [int(e) for r in rows for e in r], "bool")
case("order", [aq, ak], "past=i:2 causal=i:1", visible(["1110", "1111"]))
case("order", [aq, ak, visible(["0111", "0111"])], "past=i:1 left=i:1 right=i:0", visible(["0100", "0110"]))
case("order", [aq, ak, None, T([1], [3], "i32")], "causal=i:1 left=i:1", T([1, 1, 2, 4], [1, 1, 0, 0, 0, 1, 1, 0]))
case("order", [aq, ak, None, T([1], [3], "i32")], "", T([1, 1, 1, 4], [1, 1, 1, 0]))
rx, rcos, rsin, rids = rand(1, 2, 2, 6), rand(5, 2), rand(5, 2), T([1, 2], [3, 1], "i64")
case("positions", [rcos, rids], "", make([1, 2, 1, 2], lambda i: rcos.at((rids.v[i[1]], i[3]))))
def turned(i, near):
    k, second = (i[3] // 2, i[3] % 2) if near else (i[3] % 2, i[3] // 2)
    if i[3] > 3:
        return rx.at(i)
    a, b = (rx.at((*i[:3], e)) for e in ((2 * k, 2 * k + 1) if near else (k, k + 2)))
    c, s = (t.at((rids.v[i[1]], k)) for t in (rcos, rsin))
    return s * a + c * b if second else c * a - s * b
for near in 0, 1:
    case("rotary", [rx, rcos, rsin, rids], "size=i:0 neighbours=i:%d" % near, make(rx.dims, lambda i: turned(i, near)))
new, old, where = rand(2, 2, 1, 3), rand(2, 1, 3, 3), T([2, 2], [1, 2, 3, 4], "i32")
case("extend_cache", [new, where, old], "total=i:5", make([2, 1, 5, 3], lambda i: new.at((i[0], i[2] - where.at((i[0], 0)), 0, i[3]))
     if 0 <= i[2] - where.at((i[0], 0)) < 2 else old.at(i) if i[2] < 3 else 0))
case("extend_cache", [new, where], "total=i:2", make([2, 1, 2, 3], lambda i: new.at((i[0], i[2], 0, i[3]))))
skip, skipped = rand(2, 3, 4), lambda v, s, b: v + s + b
sn = norm(each(skipped, x, skip, last_bias), [2], 1e-12)[0]
case("skip_norm", [x, skip, last, None, last_bias], "", each(lambda v, s: v * s, sn, last))
ss = each(skipped, x, skip, last_bias)
case("skip_rms_norm", [x, skip, last, last_bias], "", make(x.dims, lambda i: ss.at(i) * last.at(i) / math.sqrt(
    mean([ss.at((*i[:2], k)) ** 2 for k in range(4)]))))
eids, words, spots4, kinds = T([2, 3], [0, 4, 1, 2, 2, 3], "i32"), rand(5, 4), rand(3, 4), rand(2, 4)
parts = T([2, 3], [0, 0, 1, 1, 0, 1], "i32")
es = make([2, 3, 4], lambda i: words.at((eids.at(i[:2]), i[2])) + spots4.at(i[1:]) + kinds.at((parts.at(i[:2]), i[2])))
case("embed_norm", [eids, parts, words, spots4, kinds, last, last_bias], "",
     each(lambda v, s, b: v * s + b, norm(es, [2], 1e-12)[0], last, last_bias), T([2], [0, 0]), es)
ls, lk, lv = rand(1, 1, 2, 3), rand(1, 1, 1, 2), rand(1, 1, 1, 3)
case("linear_step", [ls, lk, lv], "", make([1, 1, 2, 3], lambda i: ls.at(i) + lk.v[i[2]] * lv.v[i[3]]))
case("linear_step", [ls, lk, lv, T([1, 1, 1, 1], [-1]), T([1, 1, 1, 1], [0.5])], "", make([1, 1, 2, 3], lambda i: ls.at(i) / math.e + lk.v[
    i[2]] * 0.5 * (lv.v[i[3]] - sum(lk.v[d] * ls.at((0, 0, d, i[3])) / math.e for d in range(2)))))
mel = lambda f: 2595 * math.log10(1 + f / 700)
case("mel_of", [T([2], [0, 440], "f64")], "", T([2], [0, mel(440)]))
mel_at = lambda m: math.floor(700 * (10 ** (m / 2595) - 1) * 17 / 8192)
case("mel_place", [T([2], [mel(1500), mel(4000)], "f64"), T([], [16], "f64"), T([], [8192], "f64")], "",
     T([2], [mel_at(mel(1500)), mel_at(mel(4000))]))
spots = [mel_at(i * mel(4096) / 6) for i in range(6)]
def triangle(i):
    a, b, c = spots[i[1]:i[1] + 3]
    return (c - i[0]) / (c - b) if b <= i[0] < c else (1 if a == b else (i[0] - a) / (b - a)) if a <= i[0] <= b else 0
case("mel", [T([], [v], "f64") for v in (16, 8192, 0, 4096)], "bins=i:4 rows=i:9", make([9, 4], triangle))
M32 = (1 << 32) - 1
mixed = lambda h, shift, by: ((h ^ h >> shift) * by) & M32
def random_bits(i, seed):
    h = mixed(mixed((i * 2654435769 + seed) & M32, 16, 569420461), 15, 1935289751)
    return h ^ h >> 15
draws = lambda seed: [(random_bits(i, seed) >> 8) / 2 ** 24 for i in range(4)]
case("mix", [T([2], [70000, 5], "u32")], "shift=i:16 by=i:3", T([2], [mixed(70000, 16, 3), 15]))
case("random_bits", [], "count=i:4 seed=i:7", T([4], [random_bits(i, 7) for i in range(4)]))
case("random_uniform", [], "count=i:4 seed=i:7", T([4], draws(7)))
case("random_normal", [], "count=i:4 seed=i:7", T([4], [
    math.sqrt(-2 * math.log(1 - a)) * math.cos(2 * math.pi * b) for a, b in zip(draws(7), draws(7 + 1013904223))]))
case("drawn", [], "start=i:7 shape=l:2,2", T([2, 2], draws(7)))
case("draw_uniform", [T([4], [0] * 4, "f64")], "start=i:7 low=f:1 high=f:3", T([4], [1 + 2 * v for v in draws(7)], "f64"))
case("draw_normal", [T([4], [0] * 4)], "start=i:7 mean=f:1 scale=f:3", T([4], [1 + 3 * (
    math.sqrt(-2 * math.log(1 - a)) * math.cos(2 * math.pi * b)) for a, b in zip(draws(7), draws(7 + 1013904223))]))
case("bernoulli", [T([4], [0, 1, 0.5, 0.5])], "start=i:7", T([4], [float(u < x) for u, x in zip(draws(7), [0, 1, 0.5, 0.5])]))
gumbels = [-math.log(-math.log(max(u, 1e-30))) for u in draws(7)]
case("multinomial", [T([1, 2], [0, 0.5])], "start=i:7 sample_size=i:2",
     T([1, 2], [int(gumbels[2 * k + 1] + 0.5 > gumbels[2 * k]) for k in range(2)], "i32"))
fa, fb, fc = rand(2, 3), rand(3, 4), rand(4)
times = lambda a, b, f: make([2, 4], lambda i: f * sum(a.at((i[0], k)) * b.at((k, i[1])) for k in range(3)))
turned = lambda x: make(x.dims[::-1], lambda i: x.at(i[::-1]))
case("fused_matmul", [fa, fb], "", times(fa, fb, 1))
case("fused_matmul", [turned(fa), fb], "alpha=f:0.5 transA=i:1", times(fa, fb, 0.5))
case("fused_matmul", [T([3], fa.v[:3]), fb], "", make([4], lambda i: times(fa, fb, 1).at((0, i[0]))))
case("gemm", [fa, turned(fb), fc], "alpha=f:2 beta=f:3 transB=i:1", each(lambda y, c: y + 3 * c, times(fa, fb, 2), fc))
case("gemm", [fa, fb], "", times(fa, fb, 1))
cr = [[0, 0.25, 0.5], [0.75, 0, 0.125], [0.5, 0.875, 0]]
cq = [[sum(cr[j][t] ** 2 for j in range(3)) if j == t else -cr[j][t] * cr[t][j] for j in range(3)] for t in range(3)]
cp = [0.5, 0.3, 0.2]
cqp = [sum(a * b for a, b in zip(row, cp)) for row in cq]
cpqp = sum(a * b for a, b in zip(cp, cqp))
case("coupling", [T([1, 3, 3], sum(cr, []))], "", T([1, 3, 3], sum(cq, [])))
case("couple", [T([1, 3, 3], sum(cq, [])), T([1, 3], cp)], "", T([1, 3], cqp), T([1, 1], [cpqp]),
     T([1, 1], [max(abs(e - cpqp) for e in cqp) >= 0.005 / 3]))
cd = (cpqp - cqp[1]) / cq[1][1]
case("couple_one", [T([1, 3, 3], sum(cq, [])), T([1, 3], cp), T([1, 3], cqp), T([1, 1], [cpqp])], "t=i:1",
     T([1, 3], [(p + cd * (i == 1)) / (1 + cd) for i, p in enumerate(cp)]),
     T([1, 3], [(e + cd * r) / (1 + cd) for e, r in zip(cqp, cq[1])]),
     T([1, 1], [(cpqp + cd * (cd * cq[1][1] + 2 * cqp[1])) / (1 + cd) ** 2]))

# Heads of [B,S,H*D], and attention over all keys, query by query.
def heads(t, h):
    d = t.dims[2] // h
    return make([t.dims[0], h, t.dims[1], d], lambda i: t.at((i[0], i[2], i[1] * d + i[3])))
def joined(t):
    d = t.dims[3]
    return make([t.dims[0], t.dims[2], t.dims[1] * d], lambda i: t.at((i[0], i[2] // d, i[1], i[2] % d)))
def attends(q, k, v, sees, scale, bias=lambda i: 0):
    """sees(b, s, t): whether query s sees key t; heads of k and v are shared."""
    share = q.dims[1] // k.dims[1]
    def logit(b, h, s, t):
        return scale * sum(q.at((b, h, s, d)) * k.at((b, h // share, t, d)) for d in range(q.dims[3])) + bias((b, h, s, t))
    def one(i):
        b, h, s, e = i
        w = {t: math.exp(logit(b, h, s, t)) for t in range(k.dims[2]) if sees(b, s, t)}
        return sum(w[t] * v.at((b, h // share, t, e)) for t in w) / (sum(w.values()) or 1)
    return make([*q.dims[:3], v.dims[3]], one)
def stacked(past, t):
    n = past.dims[2]
    return make([*t.dims[:2], n + t.dims[2], t.dims[3]], lambda i: past.at(i) if i[2] < n else t.at((*i[:2], i[2] - n, i[3])))
hq, hk, hv, bq = rand(1, 2, 4), rand(1, 3, 4), rand(1, 3, 4), rand(12)
pk, pv = rand(1, 2, 1, 2), rand(1, 2, 1, 2)
every = lambda b, s, t: True
scaled = 1 / math.sqrt(2)
kk, vv = stacked(pk, heads(hk, 2)), stacked(pv, heads(hv, 2))
case("attention", [hq, hk, hv], "q_num_heads=i:2 kv_num_heads=i:2", joined(attends(heads(hq, 2), heads(hk, 2), heads(hv, 2), every, scaled)))
case("attention", [heads(hq, 2), heads(hk, 2), heads(hv, 2), T([2, 2], [1, 0, 0, 0], "bool"), pk, pv], "scale=f:0.25 is_causal=i:1",
     attends(heads(hq, 2), kk, vv, lambda b, s, t: s == 0 and t == 0, 0.25), kk, vv)
case("part_heads", [hq], "first=i:2 n=i:2 heads=i:1", make([1, 1, 2, 2], lambda i: hq.at((0, i[2], 2 + i[3]))))
case("entry", [m3], "at=i:1", T([3], m3.v[3:]))
case("by_step", [pk], "", T([1, 1, 2, 1, 2], pk.v))
case("unpack", [T([1, 1, 2, 2, 1], [1, 2, 3, 4])], "at=i:1", T([1, 1, 2], [2, 4]))
case("biased_heads", [hq, bq], "first=i:4 heads=i:2", heads(make(hq.dims, lambda i: hq.at(i) + bq.v[4 + i[2]]), 2))
case("biased_heads", [pk, bq], "first=i:4 heads=i:2", pk)
case("fused_mask", [T([1], [2], "i32")], "batch=i:1 s=i:2 t=i:3", T([1, 1, 1, 3], [1, 1, 0]))
case("fused_mask", [T([1, 3], [1, 0, 1], "i32")], "batch=i:1 s=i:2 t=i:3", T([1, 1, 1, 3], [1, 0, 1]))
case("fused_mask", [T([1, 2, 3], [1, 0, 1, 0, 0, 1], "i32")], "batch=i:1 s=i:2 t=i:3", T([1, 1, 2, 3], [1, 0, 1, 0, 0, 1]))
case("fused_attend", [heads(hq, 2), heads(hk, 2), heads(hv, 2), T([1], [2], "i32")], "past=i:0",
     joined(attends(heads(hq, 2), heads(hk, 2), heads(hv, 2), lambda b, s, t: t < 2, scaled)))
w3 = rand(4, 12)
projected = lambda k: heads(make([1, 2, 4], lambda i: sum(hq.at((0, i[1], d)) * w3.at((d, 4 * k + i[2])) for d in range(4)) + bq.v[4 * k + i[2]]), 2)
both = T([2, 1, 2, 1, 2], pk.v + pv.v)
fk, fv = stacked(pk, projected(1)), stacked(pv, projected(2))
case("fused_attention", [hq, w3, bq, None, both], "num_heads=i:2 unidirectional=i:1",
     joined(attends(projected(0), fk, fv, lambda b, s, t: t <= s + 1, scaled)), T([2, 1, 2, 3, 2], fk.v + fv.v))
biased3 = lambda t, k: heads(make(t.dims, lambda i: t.at(i) + bq.v[4 * k + i[2]]), 2)
case("multi_head", [hq, hk, hv, bq], "num_heads=i:2", joined(attends(biased3(hq, 0), biased3(hk, 1), biased3(hv, 2), every, scaled)),
     biased3(hk, 1), biased3(hv, 2))
lens = T([1], [2], "i32")
hk2, hv2 = T([1, 2, 4], hk.v[:8]), T([1, 2, 4], hv.v[:8])
gk, gv = stacked(pk, heads(hk2, 2)), stacked(pv, heads(hv2, 2))
case("gqa", [hq, hk2, hv2, pk, pv, lens], "keys=i:3 num_heads=i:2 kv_num_heads=i:2",
     joined(attends(heads(hq, 2), gk, gv, lambda b, s, t: t <= s + 1, scaled)), gk, gv)
case("linear_turn", [ls, lk, lv, T([1, 2, 1, 2], [1, 2, 3, 4])], "heads=i:2",
     make([1, 1, 2, 3], lambda i: ls.at(i) + lk.v[i[2]] * lv.v[i[3]]),
     make([1, 2, 1, 3], lambda i: sum((1 + 2 * i[1] + d) * (ls.at((0, 0, d, i[3])) + lk.v[d] * lv.v[i[3]]) for d in range(2))))
def linear_attention(q, k, v, scale):
    state, rows = [[0] * 2 for _ in range(2)], []
    for t in range(2):
        state = [[state[d][e] + k.at((0, t, d)) * v.at((0, t, e)) for e in range(2)] for d in range(2)]
        rows += [scale * sum(q.at((0, t, d)) * state[d][e] for d in range(2)) for e in range(2)]
    return T([1, 2, 2], rows), T([1, 1, 2, 2], sum(state, []))
lq2, lk2, lv2 = rand(1, 2, 2), rand(1, 2, 2), rand(1, 2, 2)
case("linear_attention", [lq2, lk2, lv2], "q_num_heads=i:1 kv_num_heads=i:1 update_rule=s:linear scale=f:0.5",
     *linear_attention(lq2, lk2, lv2, 0.5))
def turned_halves(t, i, at):
    """rotary positions of [B,H,S,2]: one pair."""
    a, b = t.at((*i[:3], 0)), t.at((*i[:3], 1))
    return a * tc.v[at] - b * tsin.v[at] if i[3] == 0 else a * tsin.v[at] + b * tc.v[at]
tc, tsin = rand(3, 1), rand(3, 1)
tids = T([1, 2], [2, 0], "i64")
flat_turned = make([1, 2, 2, 2], lambda i: turned_halves(heads(hq, 2), i, tids.v[i[2]]))
case("turn_heads", [hq, tc, tsin, tids], "heads=i:2 size=i:0 neighbours=i:0", joined(flat_turned))
case("rotary_heads", [heads(hq, 2), tc, tsin, tids], "", flat_turned)
case("rotary_heads", [hq, tc, tsin, tids], "num_heads=i:2", joined(flat_turned))
case("rotary_fused", [hq, T([1], [1], "i64"), tc, tsin], "",
     joined(make([1, 2, 2, 2], lambda i: turned_halves(heads(hq, 2), i, 1 + i[2]))))

# Regions and samples.
img = rand(1, 2, 3, 4)
case("as_rows", [img], "", make([12, 2], lambda i: img.at((0, i[1], i[0] // 4, i[0] % 4))))
def sample(c, y, x):
    """img at a place, between elements."""
    y, x = clip(y, 0, 2), clip(x, 0, 3)
    y0, x0 = min(int(y), 1), min(int(x), 2)
    dy, dx = y - y0, x - x0
    return sum(img.at((0, c, y0 + a, x0 + b)) * (dy if a else 1 - dy) * (dx if b else 1 - dx) for a in (0, 1) for b in (0, 1))
box = T([1, 4], [0.5, 0.5, 2.5, 2])
zero_batch = T([1], [0], "i64")
for row, half, attrs in (("roi_align", 0.5, ""), ("roi_align_10", 0, "")):
    x0, y0, x1, y1 = [e - half for e in box.v]
    case(row, [img, box, zero_batch], "output_height=i:1 output_width=i:2 sampling_ratio=i:1", make(
        [1, 2, 1, 2], lambda i: sample(i[1], y0 + (y1 - y0) / 2, x0 + (x1 - x0) * (2 * i[3] + 1) / 4)))
case("max_roi_pool", [img, T([1, 5], [0, 1, 0, 2, 2])], "pooled_shape=l:1,2", make(
    [1, 2, 1, 2], lambda i: max(img.at((0, i[1], y, 1 + i[3])) for y in range(3))))
moves = rand(1, 2, 2, 3, lo=0, hi=1)
case("window_places", [moves], "k=i:1 kernel=l:1,1 strides=l:1,1 dilations=l:1,1 pad=i:0 groups=i:1",
     make([1, 1, 1, 6], lambda i: moves.v[6 + i[3]] + i[3] % 3))
wd = rand(1, 2, 1, 1)
case("deform_conv", [img, wd, moves, T([1], [0.5])], "", make([1, 1, 2, 3], lambda i: 0.5 + sum(
    wd.v[c] * sample(c, i[2] + moves.at((0, 0, i[2], i[3])), i[3] + moves.at((0, 1, i[2], i[3]))) for c in range(2))))
case("cells", [], "size=l:2,3 k=i:1 align=i:0", T([1, 6], [-2 / 3, 0, 2 / 3] * 2))
case("cells", [], "size=l:2,3 k=i:0 align=i:1", T([1, 6], [-1] * 3 + [1] * 3))
theta = rand(1, 2, 3)
grid2 = lambda i: ((2 * i[2] + 1) / 3 - 1, (2 * i[1] + 1) / 2 - 1, 1)
case("affine_grid", [theta, whole(1, 1, 2, 3)], "", make([1, 2, 3, 2], lambda i: sum(a * b for a, b in zip(theta.v[3 * i[3]:], grid2(i)))))
# Transposed convolutions of one dimension: x [1,n,c], w [c,m/g,k].
tx, tw = rand(1, 3, 2), rand(2, 2, 3)
def transposed(x, w, stride, lo, size, dilation=1):
    y = [[0] * w.dims[1] for _ in range(size)]
    for n, c, m, k in itertools.product(range(x.dims[1]), range(x.dims[2]), range(w.dims[1]), range(w.dims[2])):
        if 0 <= n * stride + k * dilation - lo < size:
            y[n * stride + k * dilation - lo][m] += x.at((0, n, c)) * w.at((c, m, k))
    return T([1, size, w.dims[1]], sum(y, []))
case("turned_weights", [tw], "groups=i:1", make([2, 3, 2], lambda i: tw.at((i[2], i[0], 2 - i[1]))))
case("turned_weights", [tw], "groups=i:2", make([4, 3, 1], lambda i: tw.at((i[0] // 2, i[0] % 2, 2 - i[1]))))
case("phase_weights", [tw], "strides=l:2 taps=l:2 groups=i:1", make(
    [4, 2, 2], lambda i: tw.at((i[2], i[0] % 2, i[0] // 2 + 2 * (1 - i[1]))) if i[0] // 2 + 2 * (1 - i[1]) < 3 else 0))
case("join_phases", [T([1, 2, 4], range(8))], "strides=l:2 groups=i:1 starts=l:1 sizes=l:3", T([1, 3, 2], range(2, 8)))
for row in ("conv_spread", "conv_transpose"):
    case(row, [tx, tw], "strides=l:2 pads=l:1,0 dilations=l:1 extra=l:1 groups=i:1", transposed(tx, tw, 2, 1, 7))
case("conv_transpose", [tx, tw], "strides=l:2 pads=l:0,0 dilations=l:2 extra=l:0 groups=i:1", transposed(tx, tw, 2, 0, 9, 2))
cx, cw, cb, past = rand(1, 2, 3), rand(2, 1, 2), rand(2), rand(1, 2, 1)
seen2 = lambda p: lambda c, t: p.v[c] if t < 0 else cx.at((0, c, t))
causal = lambda p: make([1, 2, 3], lambda i: cb.v[i[1]] + sum(cw.v[2 * i[1] + k] * seen2(p)(i[1], i[2] - 1 + k) for k in range(2)))
case("causal_conv", [cx, cw, cb], "", causal(T([2], [0, 0])), make([1, 2, 1], lambda i: cx.at((0, i[1], 2))))
case("causal_conv", [cx, cw, cb, past], "activation=s:silu", each(lambda v: v * sigmoid(v), causal(past)))
case("max_unpool", [T([1, 1, 2], [5, 6]), T([1, 1, 2], [1, 2], "i64")], "kernel_shape=l:2 strides=l:2", T([1, 1, 4], [0, 5, 6, 0]))
cosines = lambda n, a, b, c: [a - b * math.cos(2 * math.pi * i / n) + c * math.cos(4 * math.pi * i / n) for i in range(5)]
case("cosine_window", [whole(5)], "a=f:0.4 b=f:0.5 c=f:0.1", T([5], cosines(5, 0.4, 0.5, 0.1)))
case("hann_window", [whole(5)], "periodic=i:0", T([5], cosines(4, 0.5, 0.5, 0)))
case("hamming_window", [whole(5)], "", T([5], cosines(5, 25 / 46, 21 / 46, 0)))
case("blackman_window", [whole(5)], "", T([5], cosines(5, 0.42, 0.5, 0.08)))
case("mel_weights", [whole(4), whole(16)] + [T([], [v], "f64") for v in (8192, 0, 4096)], "", make([9, 4], triangle))
case("nms", [T([1, 2, 4], [0, 0, 2, 2, 0, 0, 2, 1]), T([1, 1, 2], [0.5, 0.75]), None, T([], [0.4])], "center=i:0 steps=i:2",
     T([1, 1, 2], [1, 0]), T([1, 1, 2], [1, 0]))

lines = "".join("%s %s | %s\n" % (row, attrs, " ".join(o.line() if o else "-" for o in operands))
                for row, operands, attrs, _ in cases)
out = subprocess.run([tool], input=lines, stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")
failures = 0
for (row, operands, attrs, want), line in zip(cases, out):
    got = line.split()
    ok = len(got) >= len(want)
    for g, w in zip(got, want):
        dims, _, values = g.partition(":")
        values = [float(e) for e in values.split(",")]
        ok = ok and dims == ",".join(map(str, w.dims)) and len(values) == len(w.v)
        ok = ok and all(a == b or abs(a - b) <= 2e-5 * max(1, abs(b)) or (a != a and b != b) for a, b in zip(values, w.v))
    if not ok:
        failures += 1
        print("FAIL: %s %s: %s, not %s" % (row, attrs, line, " ".join(w.line() for w in want)))
rows = subprocess.run([tool, "--rows"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
for row in rows:
    if row not in [c[0] for c in cases]:
        failures += 1
        print("FAIL: %s: no case here" % row)
print("%d rows, %d cases, %d failures" % (len(rows), len(cases), failures))
