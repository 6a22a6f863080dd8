"""onnx_ml.py - generators (see onnx_ops.py) of ai.onnx.ml: scalers, linear models,
support vectors, trees."""
import numpy as np

from onnx_ops import generator, number

ML = "ai.onnx.ml"
POST = [None, "NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"]
# Of one score ONNX Runtime makes something only where it means a class of two.
ONE = [None, "NONE"]


def rows(g, features, types=("f32", "f32", "f64", "i64", "i32")):
    return g.new(g.rng.choice(types), [g.rng.randint(1, 5), features], -3, 3,
                 False, False)


def floats(g, n, lo=-1.0, hi=1.0):
    r = np.random.default_rng(g.rng.getrandbits(32))
    return [float(np.float32(v)) for v in r.uniform(lo, hi, n)]


def labels(g, n):
    v = list(range(n)) if g.chance(.6) else g.rng.sample(range(-9, 30), n)
    return v


@generator(ML + ".Scaler")
def scaler(g, op, domain):
    n = g.rng.randint(1, 6)
    g.node(op, [rows(g, n)], domain=domain,
           offset=floats(g, g.rng.choice([1, n])),
           scale=floats(g, g.rng.choice([1, n]), .2, 2))


@generator(ML + ".Normalizer")
def normalizer(g, op, domain):
    g.node(op, [rows(g, g.rng.randint(1, 6))], domain=domain,
           norm=g.rng.choice([None, "MAX", "L1", "L2"]))


@generator(ML + ".Imputer")
def imputer(g, op, domain):
    n = g.rng.randint(1, 6)
    x = rows(g, n, ("f32", "i64"))
    k = g.rng.choice([1, n])
    if x.a.dtype == np.int64:
        g.node(op, [x], domain=domain, exact=True, replaced_value_int64=2,
               imputed_value_int64s=[g.rng.randint(-9, 9) for _ in range(k)])
        return
    if g.chance(.5):
        x.a[x.a > 1] = np.nan
        what = float("nan")
    else:
        x.a[...] = np.round(x.a)
        what = 1.0
    g.node(op, [x], domain=domain, exact=True, replaced_value_float=what,
           imputed_value_floats=floats(g, k))


@generator(ML + ".FeatureVectorizer")
def feature_vectorizer(g, op, domain):
    n, r = g.rng.randint(1, 4), g.rng.randint(1, 3)
    xs = [g.new(g.rng.choice(["f32", "f64", "i64", "i32"]),
                [r, g.rng.randint(1, 4)], -3, 3, False, False)
          for _ in range(g.rng.randint(1, n))]
    if len({x.a.dtype for x in xs}) > 1:
        xs = [x for x in xs if x.a.dtype == xs[0].a.dtype]
    g.node(op, xs, domain=domain, exact=True,
           inputdimensions=[x.a.shape[1] for x in xs])


@generator(ML + ".OneHotEncoder")
def one_hot(g, op, domain):
    t = g.rng.choice(["i64", "f32", "i32", "f64"])
    x = g.new(t, [g.rng.randint(1, 5) for _ in range(g.rng.randint(1, 2))],
              -3, 3, False, False)
    x.a[...] = np.round(x.a)
    g.node(op, [x], domain=domain, exact=True, zeros=1,
           cats_int64s=g.rng.sample(range(-4, 5), g.rng.randint(1, 6)))


@generator(ML + ".LabelEncoder")
def label_encoder(g, op, domain):
    x = g.new("i64", [g.rng.randint(1, 9)], -5, 5, False, False)
    n = g.rng.randint(1, 8)
    keys = g.rng.sample(range(-6, 7), n)
    if g.chance(.5):
        attrs = {"values_int64s": [g.rng.randint(-99, 99) for _ in keys],
                 "default_int64": g.rng.choice([None, 7])}
    else:
        attrs = {"values_floats": floats(g, n),
                 "default_float": g.rng.choice([None, .5])}
    g.node(op, [x], domain=domain, exact=True, keys_int64s=keys, **attrs)


# ---- Linear models and support vectors ----
@generator(ML + ".LinearRegressor")
def linear_regressor(g, op, domain):
    n, y = g.rng.randint(1, 9), g.rng.randint(1, 3)
    g.node(op, [rows(g, n, ("f32",))], domain=domain,
           coefficients=floats(g, n * y), targets=y,
           intercepts=floats(g, y) if g.chance(.7) else None,
           post_transform=g.rng.choice(POST if y > 1 else ONE))


@generator(ML + ".LinearClassifier")
def linear_classifier(g, op, domain):
    n, c = g.rng.randint(1, 9), g.rng.choice([2, 2, 3, 5])
    one = c == 2 and g.chance(.5)
    k = 1 if one else c
    g.node(op, [rows(g, n)], 2, domain=domain, coefficients=floats(g, n * k),
           intercepts=floats(g, k), classlabels_ints=labels(g, c),
           multi_class=g.rng.choice([None, 0, 1]),
           post_transform=g.rng.choice(POST))


def kernel(g):
    kind = g.rng.choice(["LINEAR", "POLY", "RBF", "SIGMOID"])
    return {"kernel_type": kind,
            "kernel_params": [number(g, .1, .5), number(g, -.5, .5),
                              float(g.rng.randint(1, 3))]}


@generator(ML + ".SVMRegressor")
def svm_regressor(g, op, domain):
    n, v = g.rng.randint(1, 5), g.rng.randint(0, 6)
    attrs = kernel(g)
    if v:
        attrs |= {"support_vectors": floats(g, n * v),
                  "coefficients": floats(g, v)}
    else:
        attrs |= {"coefficients": floats(g, n), "kernel_type": "LINEAR"}
    g.node(op, [rows(g, n, ("f32",))], domain=domain, n_supports=v,
           rho=floats(g, 1), one_class=g.rng.choice([None, 0, 1]), **attrs)


@generator(ML + ".SVMClassifier")
def svm_classifier(g, op, domain):
    n, c = g.rng.randint(1, 5), g.rng.choice([2, 2, 3, 4])
    each = [g.rng.randint(1, 3) for _ in range(c)]
    pairs = c * (c - 1) // 2
    attrs = kernel(g)
    if g.chance(.5):
        attrs |= {"prob_a": floats(g, pairs, -2, -.5),
                  "prob_b": floats(g, pairs)}
    g.node(op, [rows(g, n)], 2, domain=domain, classlabels_ints=labels(g, c),
           support_vectors=floats(g, n * sum(each)), vectors_per_class=each,
           coefficients=floats(g, (c - 1) * sum(each)), rho=floats(g, pairs),
           post_transform=g.rng.choice(ONE if c == 2 else POST), **attrs)


# ---- Trees ----
MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ",
         "BRANCH_NEQ"]


class Forest:
    """Node lists as the attributes of TreeEnsemble* have them."""

    def __init__(self, g, features, outputs):
        self.g, self.features, self.outputs = g, features, outputs
        self.one = g.rng.choice(MODES[:4]) if g.chance(.7) else None
        self.halves = g.chance(.5)
        self.nodes, self.leaves = [], []
        for tree in range(g.rng.randint(1, 6)):
            self.count = 0
            self.grow(tree, g.rng.randint(0, 5))

    def grow(self, tree, depth):
        g, at = self.g, self.count
        self.count += 1
        if not depth or g.chance(.15):
            self.nodes.append((tree, at, "LEAF", 0, 0.0, 0, 0, 0))
            # ONNX Runtime forgets the base of one that no leaf adds to
            for y in g.rng.sample(range(self.outputs), self.outputs):
                self.leaves.append((tree, at, y, floats(g, 1)[0]))
            return at
        split = floats(g, 1, -2, 2)[0]
        split = round(split * 2) / 2 if self.halves else split
        row = len(self.nodes)
        self.nodes.append(None)
        yes, no = self.grow(tree, depth - 1), self.grow(tree, depth - 1)
        self.nodes[row] = (tree, at, self.one or g.rng.choice(MODES),
                           g.rng.randrange(self.features), split, yes, no,
                           g.rng.randint(0, 1))
        return at

    def attrs(self, of):
        names = ["treeids", "nodeids", "modes", "featureids", "values",
                 "truenodeids", "falsenodeids",
                 "missing_value_tracks_true"]
        a = {"nodes_" + n: [r[i] for r in self.nodes]
             for i, n in enumerate(names)}
        if self.g.chance(.5):
            del a["nodes_missing_value_tracks_true"]
        for i, n in enumerate(["treeids", "nodeids", "ids", "weights"]):
            a[of + "_" + n] = [r[i] for r in self.leaves]
        return a


def samples(g, features, *types):
    x = rows(g, features, *types)
    if x.a.dtype.kind == "f":
        if g.chance(.4):
            x.a[...] = np.round(x.a * 2) / 2
        if g.chance(.3):
            x.a[g.rng.randrange(len(x.a)), g.rng.randrange(features)] = np.nan
    return x


@generator(ML + ".TreeEnsembleRegressor")
def tree_regressor(g, op, domain):
    n, y = g.rng.randint(1, 5), g.rng.randint(1, 3)
    x = samples(g, n, ("f32", "f32", "f64"))
    g.node(op, [x], domain=domain, n_targets=y,
           aggregate_function=g.rng.choice([None, "SUM", "AVERAGE", "MIN",
                                            "MAX"]),
           base_values=floats(g, y) if g.chance(.4) else None,
           post_transform=g.rng.choice(POST if y > 1 else ONE),
           **Forest(g, n, y).attrs("target"))


@generator(ML + ".TreeEnsembleClassifier")
def tree_classifier(g, op, domain):
    n, c = g.rng.randint(1, 5), g.rng.choice([2, 3, 5])
    one = c == 2  # with weights of both, ONNX Runtime labels by one alone
    g.node(op, [samples(g, n)], 2, domain=domain, classlabels_int64s=labels(g, c),
           base_values=floats(g, c) if g.chance(.3) and not one else None,
           post_transform=g.rng.choice(POST),
           **Forest(g, n, 1 if one else c).attrs("class"))
