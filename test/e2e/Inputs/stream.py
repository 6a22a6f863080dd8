"""Random networks over a window, and over a stream. Arguments: KIND, first seed,
last seed, more options of dnnc-run.

window: convolutions, pools, short cuts, joins, without padding; then a mean or a
dense layer of all rows. What a step gives is what the window that ends there
gives. causal: padding in front alone, rows are returned; the rows of all steps are
those of the model on the whole signal, from the first."""
import array
import os
import random
import subprocess
import sys
import tempfile


def signal(r, n, ints):
    return array.array("b" if ints else "f",
                       [r.randint(-9, 9) if ints else r.uniform(-1, 1)
                        for _ in range(n)])



class Net:
    def __init__(self, seed, causal):
        self.r = r = random.Random(seed)
        self.causal, self.ints = causal, r.random() < 0.5
        self.consts, self.ops, self.n = [], [], 0
        self.layers = [self.draw() for _ in range(r.randint(1, 5))]
        self.channels = r.choice([1, 3, 4])
        self.end = "rows" if causal else r.choice(["mean", "dense", "rows", "max"])

    def draw(self):
        r = self.r
        return dict(kind=r.choice(["conv", "conv", "deep", "pool", "relu", "skip",
                                   "join", "pad"]),
                    k=r.randint(1, 4), d=r.choice([1, 1, 2, 3]),
                    s=r.choice([1, 1, 1, 2]), o=r.choice([2, 4, 8]),
                    seed=r.random())

    def const(self, dims):
        n = 1
        for d in dims:
            n *= d
        data = [self.c.randint(-8, 8) if self.ints else round(self.c.uniform(-1, 1), 3)
                for _ in range(n)]
        name = "@k%d" % len(self.consts)
        self.consts.append("const %s : %s[%s] = dense %s" % (
            name, "i8" if self.ints else "f32", ",".join(map(str, dims)), data))
        return name

    def op(self, text):
        self.n += 1
        self.ops.append("  %%v%d = %s" % (self.n, text))
        return "%%v%d" % self.n

    def conv(self, x, c, l, groups):
        o = c if groups > 1 else l["o"]
        w = self.const([o, l["k"], 1, c // groups])
        pad = 0 if l.get("padded") else (l["k"] - 1) * l["d"]
        pads = ", pads=[%d,0,0,0]" % pad if self.causal else ""
        y = self.op("conv %s, %s {strides=[%d,1], dilations=[%d,1], groups=%d%s%s}" % (
            x, w, l["s"], l["d"], groups, pads, ", to=i32" if self.ints else ""))
        if self.ints:
            y = self.op("rshr %s, @shift" % y)
            y = self.op("clamp %s {lo=-128, hi=127}" % y)
            y = self.op("cast %s {to=i8}" % y)
        return y, o

    def layer(self, x, c, t, l):
        """Returns a value, its channels and its rows."""
        reach, rows = (l["k"] - 1) * l["d"], t
        if self.causal and l["kind"] == "pad":
            y = self.op("pad %s {pads=[0,%d,0,0,0,0,0,0], value=3}" % (x, reach))
            y, c = self.conv(y, c, dict(l, padded=True), 1)
            return y, c, (t - 1) // l["s"] + 1
        if self.causal and l["kind"] == "skip":
            return self.op("neg " + x), c, t
        # The window decides; the whole signal has the same layers.
        if l["kind"] in ("relu", "pad") or l.setdefault("small", t - reach < 6 * l["s"]):
            return self.op("relu " + x), c, t
        front = reach if self.causal else 0
        rows = (t + front - reach - 1) // l["s"] + 1
        if l["kind"] == "pool":
            pads = ", pads=[0,%d,0,0,0,0,0,0]" % front if front else ""
            return self.op("window_max %s {kernel=[1,%d,1,1], strides=[1,%d,1,1], "
                           "dilations=[1,%d,1,1]%s}" % (x, l["k"], l["s"], l["d"], pads)), c, rows
        if l["kind"] == "skip":
            l = dict(l, s=1, o=c)
            y, c = self.conv(x, c, l, 1)
            crop = self.op("slice %s {starts=[0,%d,0,0], sizes=[1,%d,1,%d]}" % (
                x, reach // 2, t - reach, c))
            return self.op("add %s, %s" % (y, crop)), c, t - reach
        if l["kind"] == "join":
            a, ca = self.conv(x, c, l, 1)
            b, cb = self.conv(x, c, l, 1)
            return self.op("concat %s, %s {axis=3}" % (a, b)), ca + cb, rows
        y, c = self.conv(x, c, l, c if l["kind"] == "deep" else 1)
        return y, c, rows

    def text(self, t):
        self.c = random.Random(self.layers[0]["seed"])
        self.consts, self.ops, self.n = [], [], 0
        self.consts.append("const @shift : i32[] = splat 4")
        kind = "i8" if self.ints else "f32"
        x, c = "%x", self.channels
        x = self.op("relu %x")
        rows, head = t, "func @main(%%x: %s[1,%d,1,%d]) {" % (kind, t, c)
        for l in self.layers:
            x, c, rows = self.layer(x, c, rows, l)
        if self.end == "dense":
            x = self.op("reshape %s {shape=[1,%d]}" % (x, rows * c))
            x = self.op("cast %s {to=%s}" % (x, "i32" if self.ints else "f32"))
            w = self.const([rows * c, 3])
            w = self.op("cast %s {to=%s}" % (w, "i32" if self.ints else "f32"))
            x = self.op("matmul %s, %s" % (x, w))
        elif self.end == "mean":
            x = self.op("cast %s {to=%s}" % (x, "i32" if self.ints else "f32"))
            x = self.op("reduce_sum %s {axes=[1]}" % x)
        elif self.end == "max":
            x = self.op("reduce_max %s {axes=[1]}" % x)
        return "\n".join(self.consts + [head] + self.ops + ["  return " + x, "}", ""])


def run(folder, name, text, data, steps, options):
    base = os.path.join(folder, name)
    with open(base + ".dnn", "w") as f:
        f.write(text)
    with open(base + ".bin", "wb") as f:
        f.write(data.tobytes())
    subprocess.run(["dnnc-run", base + ".dnn", "--input", "x=%s.bin" % base,
                    "--steps=%d" % steps, "--output-dir", base] + options, check=True)
    [out] = [n for n in os.listdir(base) if not n.endswith("_rows.npy")]
    with open(os.path.join(base, out), "rb") as f:
        raw = f.read()
    at = 10 + int.from_bytes(raw[8:10], "little")
    types = {b"|i1": "b", b"<i4": "i", b"<f4": "f"}
    [code] = [types[k] for k in types if k in raw[:at]]
    return array.array(code, raw[at:])


def differs(a, b):
    if len(a) != len(b):
        return "%d elements of %d" % (len(a), len(b))
    tol = 1e-6 * max([1] + [abs(v) for v in b]) if a.typecode == "f" else 0
    for i, (x, y) in enumerate(zip(a, b)):
        if not abs(x - y) <= tol:
            return "element %d: %r, not %r" % (i, x, y)
    return None


def check(folder, kind, seed, options):
    net = Net(seed, kind == "causal")
    step = 1
    for l in net.layers:
        step *= l["s"]
    step *= net.r.choice([1, 1, 2])
    stream = ["--stream=axis=1,step=%d" % step] + options
    window = net.r.randint(40, 60) // step * step
    late = -(-window // step)
    steps = late + 4
    data = signal(net.r, steps * step * net.channels, net.ints)
    text = net.text(window)
    got = run(folder, "s%d" % seed, text, data, steps, stream)
    if kind == "causal":
        want = run(folder, "w%d" % seed, net.text(steps * step), data, 1, [])
    else:
        windows = data[:0]
        for k in range(late, steps + 1):
            end = k * step * net.channels
            windows += data[end - window * net.channels:end]
        want = run(folder, "w%d" % seed, text, windows, steps - late + 1, [])
        one, new = len(want) // (steps - late + 1), len(got) // steps
        want = sum((want[k * one:][:one][one - new:] for k in range(steps - late + 1)),
                   want[:0])
        got = got[len(got) - len(want):]
    return differs(got, want)


kind, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
right = 0
with tempfile.TemporaryDirectory() as folder:
    for seed in range(first, last + 1):
        wrong = check(folder, kind, seed, sys.argv[4:])
        right += not wrong
        if wrong:
            print("seed %d: %s" % (seed, wrong))
print("%d of %d right" % (right, last - first + 1))
