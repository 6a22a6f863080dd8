#!/usr/bin/env python3
"""Small ONNX models in a test's text, run against the values that it gives.

    onnxvalues.py TEST FOLDER [--update] [NAME...]

Each name that the lines `#NAME|...` of TEST have is a model for onnxgen.py whose
inputs and outputs have values:

    #sum|in a: u8[2] = 1 2            or  = random 7   (a seed)
    #sum|out y: u8[2] = 3 4
    #sum|in m: map:str f32[2] = "a" "b" -> 1 2    (no --update)

It becomes a test folder in FOLDER and is run by dnnc-run at -O0, at -O2, by two
threads and by the interpreter. `#NAME|atol 0.001` and `#NAME|rtol 0.001` allow
a difference; integers must be equal without them. `#NAME|undeclared`: the model does
not say how large its outputs are. `#NAME|like OTHER` has the nodes and constants of
another.
--update writes what ONNX Runtime, or else ONNX's reference evaluator, makes of
the inputs into TEST."""
import os
import random
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import onnxgen  # noqa: E402

RUNS = [["-O0"], ["-O2"], ["-O2", "--threads=2"], ["--interp"]]
RANGES = {"u8": (0, 255), "i8": (-128, 127), "u16": (0, 65535),
          "i16": (-32768, 32767), "bool": (0, 1)}


def values(dtype, dims, text):
    word, _, seed = text.strip().partition(" ")
    if word != "random":
        return onnxgen.parse_values(dtype, dims, text)
    rng, count = random.Random(int(seed)), 1
    for d in dims:
        count *= d
    if dtype[0] in "fb" and dtype != "bool":
        return [rng.randrange(-400, 401) / 128 for _ in range(count)]
    lo, hi = RANGES.get(dtype, (-1000, 1000))
    return [rng.randint(lo, hi) for _ in range(count)]


class Model:
    def __init__(self, name, lines):
        self.name, self.flags, self.ins, self.outs = name, [], [], []
        self.declared = True
        plain, depth = [], 0
        for line in lines:
            word, _, rest = line.partition(" ")
            depth += word in ("graph", "function")
            depth -= word == "end"
            if word in ("atol", "rtol"):
                self.flags.append("--%s=%s" % (word, rest))
                continue
            if word == "undeclared":
                self.declared = False
                continue
            if word in ("in", "out") and not depth:
                line, _, text = line.partition(" =")
                vname, kind = line.split(" ", 1)[1].split(":", 1)
                dtype, dims = onnxgen.parse_type(kind)
                if dtype.startswith("map:"):
                    key, dtype = dtype[4:].split()
                    keys, _, text = text.partition("->")
                    self.ins.append((vname.strip() + ".keys", key, dims, keys))
                    line = line.partition("[")[0]
                if word == "out" and not self.declared:
                    line = line.partition("[")[0]
                (self.ins if word == "in" else self.outs).append(
                    (vname.strip(), dtype, dims, text))
            plain.append(line)
        self.bytes = onnxgen.parse_model(plain)

    def write(self, top):
        folder = os.path.join(top, self.name)
        sets = os.path.join(folder, "test_data_set_0")
        os.makedirs(sets, exist_ok=True)
        with open(os.path.join(folder, "model.onnx"), "wb") as f:
            f.write(self.bytes)
        for what, rows in ("input", self.ins), ("output", self.outs):
            for i, (name, dtype, dims, text) in enumerate(rows):
                with open(os.path.join(sets, "%s_%d.pb" % (what, i)),
                          "wb") as f:
                    f.write(onnxgen.tensor(name, dtype, dims,
                                           values(dtype, dims, text)))
        return folder

    def run(self, top):
        folder, ok = self.write(top), True
        for flags in RUNS if self.declared else RUNS[:3]:
            command = ["dnnc-run", os.path.join(folder, "model.onnx"),
                       "--test-data", folder] + (self.flags or
                                                 ["--atol=1e-6", "--rtol=1e-5"]) + flags
            p = subprocess.run(command, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
            if p.returncode:
                ok = False
                print("%s: %s: exit %d: %s" % (
                    self.name, " ".join(command), p.returncode,
                    p.stdout.decode("utf-8", "replace")))
        return ok

    def expect(self):
        import numpy as np
        import onnxruntime as ort
        np_types = {"u8": "uint8", "i8": "int8", "f32": "float32",
                    "f64": "float64", "i32": "int32", "i64": "int64",
                    "u16": "uint16", "i16": "int16", "f16": "float16",
                    "u32": "uint32", "u64": "uint64", "bool": "bool",
                    "str": "object"}
        text = lambda t, v: [w.decode() for w in v] if t == "str" else v
        options = ort.SessionOptions()
        options.graph_optimization_level = (
            ort.GraphOptimizationLevel.ORT_DISABLE_ALL)
        options.log_severity_level = 3
        feeds = {n: np.array(text(t, values(t, d, s)), np_types[t]).reshape(d)
                 for n, t, d, s in self.ins}
        names = [o[0] for o in self.outs]
        try:
            session = ort.InferenceSession(self.bytes, options,
                                           providers=["CPUExecutionProvider"])
            return dict(zip(names, session.run(names, feeds)))
        except Exception:
            import onnx
            from onnx.reference import ReferenceEvaluator
            model = ReferenceEvaluator(onnx.load_from_string(self.bytes))
            return dict(zip(names, model.run(names, feeds)))


def main():
    args = sys.argv[1:]
    update = "--update" in args
    path, top, *names = [a for a in args if a != "--update"]
    with open(path) as f:
        lines = f.read().splitlines()
    models = {}
    for line in lines:
        m = re.match(r"#(\w+)\|(.*)", line)
        if m:
            models.setdefault(m.group(1), []).append(m.group(2))
    def like(line):
        word, _, other = line.partition(" ")
        return [x for x in models[other] if not re.match("(in|out) .*=", x)] \
            if word == "like" else [line]

    models = {n: [x for line in l for x in like(line)] for n, l in models.items()}
    models = {n: Model(n, l) for n, l in models.items()
              if not names or n in names}
    if not update:
        bad = [n for n, m in models.items() if not m.run(top)]
        print("%d models, %d wrong %s" % (len(models), len(bad), " ".join(bad)))
        return 1 if bad or not models else 0
    results = {n: m.expect() for n, m in models.items()}
    with open(path, "w") as f:
        for line in lines:
            m = re.match(r"(#(\w+)\|out (\w+): (\w+)\[.*?\])", line)
            if m and m.group(2) in results:
                v = results[m.group(2)][m.group(3)]
                # Bits decide, and the shape.
                line = "#%s|out %s: %s[%s] = %s" % (
                    m.group(2), m.group(3), m.group(4),
                    ",".join(map(str, v.shape)),
                    " ".join("%.9g" % x if v.dtype.kind == "f" else
                             '"%s"' % x if v.dtype.kind in "OU" else str(int(x))
                             for x in v.flatten().tolist()))
            f.write(line + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
