"""nets.py NAME: prints a network with random weights as a JSON description:
resnet50, mobilenet_v2, and the float networks of MLPerf Tiny (ic, kws, vww, ad).
The topologies are those of utils/bench/models.py."""
import json
import sys

layers, shape, count = [], [], 0


def layer(**keys):
    global count
    count += 1
    layers.append({"name": "%s%d" % (keys["type"], count), **keys})
    return layers[-1]["name"]


def conv(x, filters, kernel, stride=1, groups=1, act="relu"):
    keys = {"activation": act} if act and act != "relu6" else {}
    y = layer(type="conv", inputs=[x], filters=filters, kernel=kernel,
              strides=stride, groups=groups, padding="same",
              weight={"random": 1}, bias={"random": 2}, **keys)
    if act == "relu6":
        y = layer(type="clamp", inputs=[y], lo=0, hi=6)
    return y


def dense(x, units, act=None):
    keys = {"activation": act} if act else {}
    return layer(type="dense", inputs=[x], units=units, weight={"random": 3},
                 bias={"random": 4}, **keys)


def add(a, b, act=None):
    keys = {"activation": act} if act else {}
    return layer(type="add", inputs=[a, b], **keys)


def head(x, classes):
    x = layer(type="global_avg_pool", inputs=[x])
    return dense(layer(type="flatten", inputs=[x]), classes)


def resnet50(x):
    x = conv(x, 64, 7, 2)
    x = layer(type="max_pool", inputs=[x], kernel=3, strides=2, padding="same")
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2),
                                  (512, 3, 2)):
        for i in range(blocks):
            s = stride if i == 0 else 1
            y = conv(conv(conv(x, width, 1), width, 3, s), 4 * width, 1,
                     act=None)
            short = conv(x, 4 * width, 1, s, act=None) if i == 0 else x
            x = add(y, short, "relu")
    return head(x, 1000)


def mobilenet_v2(x):
    x, wide = conv(x, 32, 3, 2, act="relu6"), 32
    for t, c, n, s in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2),
                       (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                       (6, 320, 1, 1)):
        for i in range(n):
            stride, mid = s if i == 0 else 1, wide * t
            y = conv(x, mid, 1, act="relu6") if t > 1 else x
            y = conv(y, mid, 3, stride, mid, "relu6")
            y = conv(y, c, 1, act=None)
            x = add(x, y) if stride == 1 and wide == c else y
            wide = c
    return head(conv(x, 1280, 1, act="relu6"), 1000)


def vww(x):
    """MobileNetV1, a quarter as wide."""
    x, wide = conv(x, 8, 3, 2), 8
    for filters, s in ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1),
                       (128, 2)) + 5 * ((128, 1),) + ((256, 2), (256, 1)):
        x, wide = conv(conv(x, wide, 3, s, wide), filters, 1), filters
    return layer(type="softmax", inputs=[head(x, 2)])


def kws(x):
    x = conv(x, 64, [10, 4], 2)
    for _ in range(4):
        x = conv(conv(x, 64, 3, groups=64), 64, 1)
    return layer(type="softmax", inputs=[head(x, 12)])


def ic(x):
    """ResNet-8."""
    x = conv(x, 16, 3)
    for width, s in ((16, 1), (32, 2), (64, 2)):
        y = conv(conv(x, width, 3, s), width, 3, act=None)
        x = add(y, x if s == 1 else conv(x, width, 1, s, act=None), "relu")
    return layer(type="softmax", inputs=[head(x, 10)])


def ad(x):
    """An autoencoder."""
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = dense(x, units, "relu")
    return dense(x, 640)


nets = {"resnet50": (resnet50, [1, 224, 224, 3]),
        "mobilenet_v2": (mobilenet_v2, [1, 224, 224, 3]),
        "vww": (vww, [1, 96, 96, 3]), "kws": (kws, [1, 49, 10, 1]),
        "ic": (ic, [1, 32, 32, 3]), "ad": (ad, [1, 640])}
build, shape = nets[sys.argv[1]]
build("input")
print(json.dumps({"dnnc": 1, "name": sys.argv[1], "layers": layers,
                  "inputs": [{"name": "input", "shape": shape}]}, indent=1))
