"""onnx_graph.py - a random ONNX graph that is evaluated while it grows: each node
runs alone in ONNX Runtime, without its graph optimizations, so that shapes and
values are known to the node that follows. The reference evaluator of `onnx`
stands in where ONNX Runtime has no kernel, or is known to be wrong (WRONG).

A value is `exact` when every implementation must have the same bits: inputs, and
what moves, compares or counts exact values. Operators that jump (Round, Equal,
TopK) take exact values only, so that a difference of rounding stays small."""
import functools
import math

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

DTYPES = {"f32": np.float32, "f64": np.float64, "f16": np.float16,
          "bf16": ml_dtypes.bfloat16, "i8": np.int8, "i16": np.int16,
          "i32": np.int32, "i64": np.int64, "u8": np.uint8, "u16": np.uint16,
          "u32": np.uint32, "u64": np.uint64, "bool": np.bool_}
TEXT = {np.dtype(v): k for k, v in DTYPES.items()}
FLOATS = ["f32", "f64", "f16", "bf16"]
INTS = ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"]
ONNX_TEXT = {"float": "f32", "double": "f64", "float16": "f16",
             "bfloat16": "bf16", "int8": "i8", "int16": "i16", "int32": "i32",
             "int64": "i64", "uint8": "u8", "uint16": "u16", "uint32": "u32",
             "uint64": "u64", "bool": "bool"}
MOST = 1500  # elements of a value

# Operators whose ONNX Runtime kernel departs from the standard's text.
WRONG = {"BlackmanWindow": "computed in f32 for f64",
         "HammingWindow": "computed in f32 for f64",
         "HannWindow": "computed in f32 for f64",
         "InstanceNormalization": "x a + b, which cancels",
         "Col2Im": "strides of three dims",
         "Unique": "columns of more rows than there are columns"}
# Those that lose a NaN, or find it only at times: the reference propagates.
LOSES_NAN = {"ArgMax", "ArgMin", "Clip", "Max", "Min", "ReduceMax", "ReduceMin",
             "Sign", "TopK"}


def qlinear_reduce_mean(ins, attrs):
    x, s, z, ys, yz = ins
    mean = ((wide(x) - z) * s).mean(axis=tuple(attrs["axes"]),
                                    keepdims=bool(attrs.get("keepdims", 1)))
    info = np.iinfo(x.dtype)
    return [np.clip(np.rint(mean / ys) + yz, info.min,
                    info.max).astype(x.dtype)]


def reduce_integers(fold, ins, attrs):
    """Products of integers wrap, as sums do; ONNX Runtime's saturate."""
    x = ins[0]
    axes = ins[1] if len(ins) > 1 else attrs.get("axes")
    if is_float(x) or attrs.get("noop_with_empty_axes"):
        return None
    axes = None if axes is None or not len(axes) else tuple(map(int, axes))
    with np.errstate(all="ignore"):
        return [np.asarray(fold(x, axis=axes, dtype=x.dtype,
                                keepdims=bool(attrs.get("keepdims", 1))))]


def power(ins, attrs):
    """Of integers: wraps; by floats, out of range is anything."""
    a, b = ins
    if is_float(a):
        return None
    with np.errstate(all="ignore"):
        if not is_float(b) and (b >= 0).all():
            return [np.power(a, b.astype(np.uint64).astype(a.dtype))]
        if not (np.abs(wide(a) ** wide(b)) < np.iinfo(a.dtype).max).all():
            raise Invalid("range")
    return None


def thresholded_relu(ins, attrs):
    """The standard's function casts alpha to the element type first."""
    x = ins[0]
    with np.errstate(all="ignore"):
        alpha = np.float32(attrs.get("alpha", 1.0)).astype(x.dtype)
        return [np.where(x > alpha, x, np.zeros_like(x))]


def mean_variance(ins, attrs):
    """Of equal elements the result is any: their variance is what rounding left."""
    x = wide(ins[0])
    axes = tuple(attrs.get("axes", [0, 2, 3]))
    if (x.var(axis=axes) <= 1e-6 * (x * x).mean(axis=axes)).any():
        raise Invalid("no variance")
    return None


def erf(ins, attrs):
    x = ins[0]
    if is_float(x) and x.dtype != np.float64:
        return None
    y = np.vectorize(math.erf, otypes=[np.float64])(x)
    return [y if is_float(x) else np.trunc(y).astype(x.dtype)]


# What neither of the two has, or has with 8 digits: None leaves it to them.
OWN = {"QLinearReduceMean": qlinear_reduce_mean, "Erf": erf, "Pow": power,
       "ThresholdedRelu": thresholded_relu,
       "MeanVarianceNormalization": mean_variance,
       "ReduceProd": functools.partial(reduce_integers, np.prod),
       "ReduceSumSquare": functools.partial(
           reduce_integers, lambda x, **how: np.sum(x * x, **how))}


class Invalid(Exception):
    """No judge evaluates the node: it is left out."""


def text(a):
    return TEXT[np.dtype(a.dtype)]


def is_float(a):
    return text(a) in FLOATS


def wide(a):
    """As f64, for looking at values."""
    return a.astype(np.float64)


@functools.lru_cache(None)
def types_of(op, domain, opset, port):
    """Element types that the schema of an operator allows for an input."""
    schema = onnx.defs.get_schema(op, opset, domain)
    port = schema.inputs[min(port, len(schema.inputs) - 1)]
    return [ONNX_TEXT[t[7:-1]] for t in sorted(port.types)
            if t.startswith("tensor(") and t[7:-1] in ONNX_TEXT]


@functools.lru_cache(None)
def session_options():
    ort.set_default_logger_severity(4)
    o = ort.SessionOptions()
    o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    o.intra_op_num_threads = o.inter_op_num_threads = 1
    o.log_severity_level = 4
    return o


class Value:
    def __init__(self, name, a, kind, exact):
        self.name, self.a, self.kind, self.exact = name, a, kind, exact
        self.uses = 0

    def info(self):
        return helper.make_tensor_value_info(
            self.name, helper.np_dtype_to_tensor_dtype(self.a.dtype),
            self.a.shape)


class Node:
    """NodeProtos that are evaluated as one, and their values; `ins` has None for
    what is left out."""

    def __init__(self, protos, ins, outs, exact, reads=()):
        self.protos, self.ins, self.outs, self.exact = protos, ins, outs, exact
        self.reads = list(reads)  # outer values that subgraphs read

    def text(self):
        return "+".join(p.op_type for p in self.protos)

    def values(self):
        return [v for v in self.ins if v] + self.reads


def arrays(outputs):
    if any(not isinstance(y, (np.ndarray, np.generic)) for y in outputs):
        raise Invalid("a result is no tensor")
    return [np.asarray(y) for y in outputs]


def node_model(protos, feed, names, opset):
    g = helper.make_graph(
        protos, "g", [v.info() for v in feed],
        [onnx.ValueInfoProto(name=n) for n in names])
    return helper.make_model(g, opset_imports=opsets(opset), ir_version=10)


def opsets(opset):
    return [helper.make_opsetid("", opset),
            helper.make_opsetid("com.microsoft", 1),
            helper.make_opsetid("ai.onnx.ml", 3)]


class Oracle:
    """Evaluates nodes; remembers which of the two judged."""

    def __init__(self):
        self.judge = {}

    def run(self, protos, names, ins, reads, opset, noise=None):
        feed = list({v.name: v for v in [i for i in ins if i] +
                     list(reads)}.values())
        data = {v.name: v.a if noise is None else noise[v.name] for v in feed}
        m = node_model(protos, feed, names, opset)
        op = protos[0].op_type
        if op in OWN:
            attrs = {a.name: helper.get_attribute_value(a)
                     for a in protos[0].attribute}
            own = OWN[op]([data[v.name] for v in ins], attrs)
            if own is not None:
                return own
        nan = op in LOSES_NAN and any(
            is_float(a) and np.isnan(wide(a)).any() for a in data.values())
        if op not in WRONG and not nan:
            try:
                s = ort.InferenceSession(m.SerializeToString(),
                                         session_options(),
                                         providers=["CPUExecutionProvider"])
                out = arrays(s.run(None, data))
                self.judge[op] = self.judge.get(op, "ONNX Runtime")
                if overflows(protos[0], out):
                    raise Invalid("Softplus")
                return out
            except Invalid:
                raise
            except Exception as e:  # noqa: BLE001
                why = str(e)
            if not any(s in why for s in ("NOT_IMPLEMENTED", "bfloat16",
                                          "No Op registered")):
                raise Invalid(why)
        try:
            with np.errstate(all="ignore"):
                out = arrays(ReferenceEvaluator(m).run(None, data))
        except Invalid:
            raise
        except Exception as e:  # noqa: BLE001
            raise Invalid(str(e)) from e
        self.judge[op] = "reference"
        return out


def overflows(node, out):
    """ONNX Runtime's recurrent layers take log(1 + exp(x)), infinite from 89 on."""
    names = [n for a in node.attribute if a.name == "activations"
             for n in a.strings]
    return b"Softplus" in names and not all(np.isfinite(a).all() for a in out)


class Graph:
    def __init__(self, rng, seed, opset, oracle):
        self.rng, self.seed, self.opset, self.oracle = rng, seed, opset, oracle
        self.values, self.nodes, self.count = [], [], 0
        self.full = False  # integers of the whole range are drawn

    # ---- Values ----
    def name(self, letter):
        self.count += 1
        return "s%d%s%d" % (self.seed, letter, self.count)

    def add(self, a, kind):
        v = Value(self.name("x" if kind == "input" else "w"), a, kind, True)
        self.values.append(v)
        return v

    def const(self, a):
        """An initializer that must have this value."""
        return self.add(np.array(a, order="C"), "const")

    def chance(self, p):
        return self.rng.random() < p

    def dim(self):
        return self.rng.choice([1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 33])

    def shape(self, least=0, most=5, empty=True):
        rank = self.rng.choice([r for r in [0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5]
                                if least <= r <= most] or [least])
        dims = [self.dim() for _ in range(rank)]
        while np.prod(dims) > 600:
            dims[dims.index(max(dims))] = self.rng.choice([1, 2, 3])
        if empty and rank and self.chance(.03):
            dims[self.rng.randrange(rank)] = 0
        return dims

    def partner(self, shape):
        """A shape that broadcasts with another, of a lower or higher rank."""
        dims = [d if self.chance(.75) else 1 for d in shape]
        if self.chance(.3):
            dims = dims[self.rng.randint(0, len(dims)):]
        elif self.chance(.15) and len(dims) < 5:
            dims = [self.rng.choice([1, 2, 3])] + dims
        return [self.rng.choice([2, 3]) if d == 1 and self.chance(.1) and
                i < len(shape) and len(dims) == len(shape) and shape[i] == 1
                else d for i, d in enumerate(dims)]

    def random(self, dtype, shape, lo=-2.0, hi=2.0, special=True):
        t, r = DTYPES[dtype], np.random.default_rng(self.rng.getrandbits(32))
        if dtype == "bool":
            return r.integers(0, 2, shape).astype(t)
        if dtype in INTS:
            info = np.iinfo(t)
            if (lo, hi) == (-2.0, 2.0):
                lo, hi = (info.min, info.max) if self.full and \
                    self.chance(.3) else (-9, 9)
            lo, hi = max(int(lo), info.min), min(int(hi), info.max)
            return r.integers(lo, hi, shape, dtype=t if t != np.bool_ else None,
                              endpoint=True)
        a = r.uniform(lo, hi, shape)
        if self.chance(.3):
            a = np.round(a * 4) / 4
        a = np.clip(a, lo, hi).astype(t)
        if special and a.size and self.chance(.06):
            for _ in range(self.rng.randint(1, 3)):
                a.reshape(-1)[self.rng.randrange(a.size)] = self.rng.choice(
                    [np.nan, np.inf, -np.inf, 0.0])
        return np.asarray(a)

    def new(self, dtype, shape, lo=-2.0, hi=2.0, special=True, const=None):
        a = self.random(dtype, shape, lo, hi, special)
        if const is None:
            const = self.chance(.35)
        return self.add(a, "const" if const else "input")

    def pick(self, dtypes, lo=None, hi=None, least=0, most=5, exact=False,
             shape=None, finite=False, empty=True, nonzero=False, reuse=.65):
        """A value that fits, made before or new."""
        def fits(v):
            a = v.a
            if (text(a) not in dtypes or v.kind == "const" or
                    not least <= a.ndim <= most or (exact and not v.exact) or
                    (shape is not None and list(a.shape) != list(shape)) or
                    (not empty and a.size == 0)):
                return False
            if not (finite or nonzero or lo is not None):
                return True
            w = wide(a)
            return not ((finite or lo is not None) and
                        not (np.abs(w) < 1e5).all() or
                        lo is not None and a.size and
                        (w.min() < lo or w.max() > hi) or
                        nonzero and (w == 0).any())
        if self.chance(reuse):
            found = [v for v in self.values[-12:] if fits(v)]
            if found:
                return self.rng.choice(found)
        dtype = self.rng.choice(dtypes + ["f32"] * (len(dtypes)
                                                    if "f32" in dtypes else 0))
        if shape is None:
            shape = self.shape(least, most, empty)
        v = self.new(dtype, shape, -2.0 if lo is None else lo,
                     2.0 if hi is None else hi, not (finite or lo is not None))
        if nonzero and v.a.size:
            v.a[v.a == 0] = 1
        return v

    # ---- Nodes ----
    def node(self, op, ins, nout=1, domain="", exact=None, reads=(), body=None,
             keep=None, **attrs):
        """Evaluates a node and adds it: its output values, or Invalid.
        `exact`: the results are, when the operands are. `keep`: which of the
        outputs are asked for."""
        attrs = {k: v for k, v in attrs.items() if v is not None and v != []}
        keep = [True] * nout if keep is None else keep
        names = [self.name("v") if k else "" for k in keep]
        while names and not names[-1]:
            names.pop()
        proto = helper.make_node(op, [v.name if v else "" for v in ins], names,
                                 name=self.name("n"), domain=domain,
                                 **{**attrs, **(body or {})})
        return self.group([proto], ins, [n for n in names if n], exact, reads)

    def group(self, protos, ins, names, exact=None, reads=()):
        """Nodes whose values between them are no tensors; `names` are those of
        their results."""
        out = self.oracle.run(protos, names, ins, reads, self.opset)
        if any(o.size > MOST for o in out):
            raise Invalid("too large")
        if any(np.dtype(o.dtype) not in TEXT for o in out) or \
                protos[0].op_type.startswith("Reduce") and \
                out[0].dtype != ins[0].a.dtype:
            raise Invalid("element type")
        known = bool(exact) and all(v.exact for v in list(ins) + list(reads)
                                    if v)
        outs = [Value(n, o, "node", known) for n, o in zip(names, out)]
        n = Node(protos, list(ins), outs, known, reads)
        for v in n.values():
            v.uses += 1
        self.nodes.append(n)
        self.values += outs
        return outs

    def used(self):
        names = {v.name for n in self.nodes for v in n.values()}
        return [v for v in self.values if v.kind != "node" and v.name in names]

    def outputs(self):
        """What no node reads, and some of the rest."""
        return [v for n in self.nodes for v in n.outs
                if not v.uses or v.a.size < 64 and (len(v.name) * 7 +
                                                    v.a.size) % 5 == 0]


def model(graphs, opset, outputs):
    """One model of several graphs."""
    nodes = [p for g in graphs for n in g.nodes for p in n.protos]
    ins = [v for g in graphs for v in g.used() if v.kind == "input"]
    consts = [v for g in graphs for v in g.used() if v.kind == "const"]
    g = helper.make_graph(
        nodes, "fuzz", [v.info() for v in ins], [v.info() for v in outputs],
        [numpy_helper.from_array(v.a, v.name) for v in consts])
    return helper.make_model(g, opset_imports=opsets(opset), ir_version=10), ins
