"""Random chains of kernels whose results may lie over a part of their operands:
overlap.py FIRST COUNT. Each is compiled with that and without, run on the same
input, and the results are compared bit by bit; prints how many plans were smaller,
and every difference."""
import os
import random
import re
import subprocess
import sys
import tempfile

PASSES = ("canonicalize,cse,dce,layout,canonicalize,fuse,materialize,tile,pack,loops,"
          "parallel,order{overlap=%d},plan{overlap=%d}")


class Net:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.consts, self.body, self.n = [], [], 0
        self.kind = self.r.choice(["f32", "f32", "i8"])
        self.shape = [1, self.r.randint(3, 14), self.r.randint(3, 14), self.r.choice([1, 3, 4, 8])]
        self.x = "x"
        self.params = f"%x: {self.type()}"
        for _ in range(self.r.randint(2, 6)):
            self.step()

    def type(self, shape=None):
        return f"{self.kind}[{','.join(map(str, shape or self.shape))}]"

    def op(self, text, shape=None):
        self.n += 1
        self.x, old = f"v{self.n}", self.x
        self.body.append(f"  %{self.x} = {text.replace('%in', '%' + old)}")
        self.shape = shape or self.shape

    def step(self):
        r, (n, h, w, c) = self.r, self.shape
        kind = r.choice(["conv", "conv", "depthwise", "one", "pool", "unary", "pad", "slice",
                         "add", "rows", "flip"])
        k, s = r.choice([1, 2, 3, 5]), r.choice([1, 1, 2])
        p = [r.randint(0, k - 1) for _ in range(4)]
        hh, ww = (h + p[0] + p[2] - k) // s + 1, (w + p[1] + p[3] - k) // s + 1
        windows = f"strides=[{s},{s}], pads=[{','.join(map(str, p))}]"
        if self.kind == "i8" and kind in ("conv", "depthwise", "one", "rows"):
            kind = r.choice(["pool", "pad", "slice", "unary", "flip"])
        if kind in ("conv", "depthwise", "one") and hh > 0 and ww > 0 and hh * ww < 400:
            if kind == "one":
                k, hh, ww, windows = 1, h, w, "strides=[1,1]"
            o = c if kind == "depthwise" else r.choice([c, 2 * c, 4, 7])
            i = 1 if kind == "depthwise" else c
            groups = f", groups={c}" if kind == "depthwise" else ""
            self.consts.append(f"const @w{self.n} : f32[{o},{k},{k},{i}] = splat {r.choice([0.5, 0.25, -1])}")
            self.op(f"conv %in, @w{self.n} {{{windows}{groups}}}", [n, hh, ww, o])
        elif kind == "pool" and h >= k and w >= k:
            hh, ww = (h - k) // s + 1, (w - k) // s + 1
            self.op(f"window_max %in {{kernel=[1,{k},{k},1], strides=[1,{s},{s},1]}}", [n, hh, ww, c])
        elif kind == "pad":
            a, b = r.randint(0, 2), r.randint(0, 2)
            how = r.choice(["pad", "pad_edge", "pad_reflect", "pad_wrap"])
            self.op(f"{how} %in {{pads=[0,{a},{b},0,0,{b},{a},0]}}", [n, h + a + b, w + a + b, c])
        elif kind == "slice" and h > 3:
            a = r.randint(0, 2)
            self.op(f"slice %in {{starts=[0,{a},0,0], sizes=[{n},{h - a},{w},{c}]}}", [n, h - a, w, c])
            self.op("neg %in")
        elif kind == "flip":
            self.op(f"slice %in {{starts=[0,{h - 1},0,0], sizes=[{n},{h},{w},{c}], steps=[1,-1,1,1]}}")
            self.op("neg %in")
        elif kind == "rows":
            self.op("reduce_max %in {axes=[3]}", [n, h, w, 1])
            self.op(f"expand %in {{shape=[{n},{h},{w},{c}]}}", [n, h, w, c])
            self.op("exp %in")
        elif kind == "add":
            self.op("add %in, %in")
        else:
            self.op("clamp %in {lo=-3, hi=5}")

    def text(self):
        return "\n".join(self.consts + [
            f"func @main({self.params}) -> ({self.type()}) {{"] + self.body + [
            f"  return %{self.x}", "}", ""])


def arena(text):
    return int(re.search(r"arena=(\d+)", text).group(1))


def main():
    first, count, smaller = int(sys.argv[1]), int(sys.argv[2]), 0
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/net.dnn"
        for seed in range(first, first + count):
            open(path, "w").write(Net(seed).text())
            sizes, results = [], []
            for on in 0, 1:
                passes = f"--passes={PASSES % (on, on)}"
                plan = subprocess.run(["dnnc", path, passes, "--emit=planned", "-o", "-"],
                                      capture_output=True, text=True)
                run = subprocess.run(["dnnc-run", path, passes, "--random=1", f"--output-dir={folder}/{on}"],
                                     capture_output=True, text=True)
                if plan.returncode or run.returncode:
                    print(f"{seed}: {plan.stderr}{run.stderr}{Net(seed).text()}")
                    break
                sizes.append(arena(plan.stdout))
                results.append([open(f"{folder}/{on}/{f}", "rb").read()
                                for f in sorted(os.listdir(f"{folder}/{on}"))])
            if len(sizes) == 2:
                smaller += sizes[1] < sizes[0]
                if sizes[1] > sizes[0] or results[0] != results[1]:
                    print(f"{seed}: arena {sizes}, results differ: {results[0] != results[1]}\n"
                          + Net(seed).text())
    print(f"{count} networks, {'some' if smaller * 8 > count else 'few'} smaller")


main()
