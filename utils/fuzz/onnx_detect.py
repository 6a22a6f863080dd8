"""onnx_detect.py - generators (see onnx_ops.py) of operators that detectors have:
regions, boxes, what is selected, samples at offsets."""
import numpy as np

from onnx_graph import Invalid
from onnx_nets import f32
from onnx_ops import generator, ints


def distinct(g, shape, lo=-1.0, hi=1.0):
    """Numbers that no two are near each other, in any order."""
    n = int(np.prod(shape))
    v = np.linspace(lo, hi, max(n, 1), dtype=np.float32)[:n]
    np.random.default_rng(g.rng.getrandbits(32)).shuffle(v)
    return g.add(v.reshape(shape), "input")


def image(g, t="f32"):
    return g.new(t, [g.rng.randint(1, 2), g.rng.randint(1, 4),
                     g.rng.randint(2, 9), g.rng.randint(2, 9)], -2, 2, False,
                 False)


def corners(g, n, high, wide):
    """Regions x0 y0 x1 y1, some over the edge."""
    r = np.random.default_rng(g.rng.getrandbits(32))
    a = r.uniform(-1, [wide, high], (n, 2))
    b = a + r.uniform(0.3, [wide, high], (n, 2))
    return np.concatenate([a, b], 1).astype(np.float32)


@generator("RoiAlign")
def roi_align(g, op, domain):
    x = image(g, "f64" if g.opset < 22 and g.chance(.1) else "f32")
    n, (b, _, h, w) = g.rng.randint(1, 4), x.a.shape
    scale = g.rng.choice([1.0, .5, .25])
    rois = g.add((corners(g, n, h, w) / scale).astype(x.a.dtype), "input")
    modes = ["half_pixel", "output_half_pixel"] if g.opset >= 16 else [None]
    g.node(op, [x, rois, ints(g, [g.rng.randrange(b) for _ in range(n)])],
           mode=g.rng.choice([None, "avg", "max"]),
           output_height=g.rng.randint(1, 4), output_width=g.rng.randint(1, 4),
           sampling_ratio=g.rng.randint(1, 3), spatial_scale=scale,
           coordinate_transformation_mode=g.rng.choice(modes))


@generator("MaxRoiPool")
def max_roi_pool(g, op, domain):
    x = image(g)
    n, (b, _, h, w) = g.rng.randint(1, 4), x.a.shape
    r = np.clip(np.rint(corners(g, n, h, w)), 0, [w - 1, h - 1, w - 1, h - 1])
    batch = [[g.rng.randrange(b)] for _ in range(n)]
    rois = np.concatenate([np.array(batch), r], 1).astype(np.float32)
    g.node(op, [x, g.add(rois, "input")], exact=True,
           pooled_shape=[g.rng.randint(1, 4), g.rng.randint(1, 4)])


@generator("NonMaxSuppression")
def nms(g, op, domain):
    b, c, n = g.rng.randint(1, 2), g.rng.randint(1, 3), g.rng.randint(1, 12)
    center = g.chance(.3)
    boxes = np.stack([corners(g, n, 6, 6) for _ in range(b)])
    if center:
        boxes = np.concatenate([(boxes[..., :2] + boxes[..., 2:]) / 2,
                                boxes[..., 2:] - boxes[..., :2]], -1)
    elif g.chance(.3):
        boxes = boxes[..., [2, 1, 0, 3]]
    ins = [g.add(np.ascontiguousarray(boxes), "input"),
           distinct(g, [b, c, n], .05, .95),
           ints(g, [g.rng.randint(0, n + 1)])]
    if g.chance(.9):
        ins.append(g.const(np.array([g.rng.choice([0., .2, .5, .8])],
                                    np.float32)))
        if g.chance(.6):
            ins.append(g.const(np.array([g.rng.choice([0., .31, .7])],
                                        np.float32)))
    g.node(op, ins, exact=True, center_point_box=1 if center else None)


@generator("Unique")
def unique(g, op, domain):
    t = g.rng.choice(["f32", "i64", "i8", "f64", "i32"])
    rank = g.rng.choice([1, 1, 2, 3])
    x = g.new(t, [g.rng.randint(1, 6) for _ in range(rank)], -2, 2, False,
              False)
    x.a[...] = np.round(x.a)
    g.node(op, [x], 4, exact=True, sorted=g.rng.choice([None, 0, 1]),
           axis=g.rng.choice([None, g.rng.randrange(-rank, rank)]))


@generator("Det")
def det(g, op, domain):
    n = g.rng.randint(1, 5)
    dims = [g.rng.randint(1, 3) for _ in range(g.rng.randint(0, 2))]
    x = f32(g, dims + [n, n], const=False)
    x.a[...] += 2 * np.eye(n, dtype=np.float32)
    g.node(op, [x])


@generator("DeformConv")
def deform_conv(g, op, domain):
    group, offsets = g.rng.choice([1, 1, 2]), g.rng.choice([1, 1, 2])
    c = group * offsets * g.rng.randint(1, 2)
    o = group * g.rng.randint(1, 3)
    kernel, strides, dilations, pads, out = [], [], [], [], []
    dims = [g.rng.randint(1, 2), c]
    for _ in range(2):
        n, k = g.rng.randint(4, 8), g.rng.randint(1, 3)
        s, d, p = g.rng.randint(1, 2), g.rng.randint(1, 2), g.rng.randint(0, 1)
        dims.append(n)
        kernel.append(k), strides.append(s), dilations.append(d)
        pads.append(p)
        out.append((n + 2 * p - (k - 1) * d - 1) // s + 1)
    if min(out) < 1:
        raise Invalid("no result")
    taps = kernel[0] * kernel[1]
    ins = [f32(g, dims, const=False), f32(g, [o, c // group] + kernel),
           f32(g, [dims[0], 2 * offsets * taps] + out, -1.6, 1.6, False)]
    if g.chance(.6):
        ins.append(f32(g, [o]) if g.chance(.7) else None)
        if g.chance(.5) or ins[-1] is None:
            ins.append(f32(g, [dims[0], offsets * taps] + out, 0, 1, False))
    g.node(op, ins, kernel_shape=kernel, strides=strides, dilations=dilations,
           pads=pads + pads, group=group, offset_group=offsets)
