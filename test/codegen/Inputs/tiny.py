#!/usr/bin/env python3
"""tiny.py ic|kws|vww|ad - a network of the shapes of MLPerf Tiny's in 8 bits, with
random weights, as text IR: ResNet-8, DS-CNN, MobileNet v1 0.25, autoencoder."""
import random
import sys

rng = random.Random(1)
lines, consts = [], []
count = 0


def name():
    global count
    count += 1
    return "%%v%d" % count


def text(shape):
    return "[" + ",".join(map(str, shape)) + "]"


def weights(shape):
    size = 1
    for d in shape:
        size *= d
    consts.append("const @w%d : i8%s = hex \"%s\"" % (
        len(consts), text(shape), bytes(rng.randrange(1, 256) for _ in range(size)).hex()))
    return "@w%d" % (len(consts) - 1)


def floats(n):
    consts.append("const @w%d : f32[%d] = dense [%s]" % (
        len(consts), n, ", ".join("%.6f" % rng.uniform(1e-4, 1e-3) for _ in range(n))))
    return "@w%d" % (len(consts) - 1)


def biases(n):
    consts.append("const @w%d : i32[%d] = dense [%s]" % (
        len(consts), n, ", ".join(str(rng.randint(-1000, 1000)) for _ in range(n))))
    return "@w%d" % (len(consts) - 1)


def emit(op):
    y = name()
    lines.append("  %s = %s" % (y, op))
    return y


def narrow(sums, channels):
    x = emit("add %s, %s" % (sums, biases(channels)))
    x = emit("cast %s {to=f32}" % x)
    x = emit("mul %s, %s" % (x, floats(channels)))
    return emit("narrow %s, @z {to=i8}" % x)


def conv(x, c, o, window, stride=1, pads=None, groups=1):
    h, w = window
    pads = pads or [h // 2, w // 2, h // 2, w // 2]
    k = weights([o, h, w, c // groups])
    return narrow(emit("conv %s, %s {strides=[%d,%d], pads=%s, groups=%d, to=i32}" % (
        x, k, stride, stride, text(pads), groups)), o)


def dense(x, c, o):
    return narrow(emit("matmul %s, %s {to=i32}" % (x, weights([c, o]))), o)


def add(x, y):
    x, y = (emit("mul %s, @s" % emit("cast %s {to=f32}" % v)) for v in (x, y))
    return emit("narrow %s, @z {to=i8}" % emit("add %s, %s" % (x, y)))


def pool(x, shape, o):
    x = emit("reduce_sum %s {axes=[1,2]}" % emit("cast %s {to=i32}" % x))
    x = emit("mul %s, @s" % emit("cast %s {to=f32}" % x))
    x = emit("narrow %s, @z {to=i8}" % x)
    return dense(emit("reshape %s {shape=[1,%d]}" % (x, shape)), shape, o)


def ic(x):
    x = conv(x, 3, 16, (3, 3))
    for c, o, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2)):
        pads = [0, 0, 1, 1] if stride == 2 else None
        y = conv(conv(x, c, o, (3, 3), stride, pads), o, o, (3, 3))
        x = add(x if stride == 1 else conv(x, c, o, (1, 1), 2), y)
    return pool(x, 64, 10)


def kws(x):
    x = conv(x, 1, 64, (10, 4), 2, [4, 1, 5, 1])
    for _ in range(4):
        x = conv(x, 64, 64, (3, 3), groups=64)
        x = conv(x, 64, 64, (1, 1))
    return pool(x, 64, 12)


def vww(x):
    x, c = conv(x, 3, 8, (3, 3), 2, [0, 0, 1, 1]), 8
    for o, stride in ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1),
                      (128, 1), (128, 1), (128, 1), (128, 1), (256, 2), (256, 1)):
        pads = [0, 0, 1, 1] if stride == 2 else None
        x = conv(x, c, c, (3, 3), stride, pads, groups=c)
        x, c = conv(x, c, o, (1, 1)), o
    return pool(x, 256, 2)


def ad(x):
    sizes = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640]
    for c, o in zip(sizes, sizes[1:]):
        x = dense(x, c, o)
    return x


INPUT = {"ic": [1, 32, 32, 3], "kws": [1, 49, 10, 1], "vww": [1, 96, 96, 3], "ad": [1, 640]}
which = sys.argv[1]
result = {"ic": ic, "kws": kws, "vww": vww, "ad": ad}[which]("%x")
width = {"ic": 10, "kws": 12, "vww": 2, "ad": 640}[which]
print("const @z : f32[1] = splat 5\nconst @s : f32[1] = splat 0.01")
print("\n".join(consts))
print("func @main(%%x: i8%s) -> (i8[1,%d]) {" % (text(INPUT[which]), width))
print("\n".join(lines))
print("  return %s\n}" % result)
