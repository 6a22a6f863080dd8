"""cost.py DIR DNNC ONNXGEN [MEGABYTES]: small files that ask for much. Each ends
as the table says, in time, and with no more memory than that. A row is (name, exit
code, text of what is said, contents, more options)."""
import json
import os
import re
import resource
import subprocess
import sys

folder, dnnc, generator = sys.argv[1:4]
most = int(sys.argv[4]) if len(sys.argv) > 4 else None
sys.path.insert(0, generator)
from onnxgen import *  # noqa: E402,F403

F4 = ("f32", [4])


def net(nodes, inits=(), outputs=("y",), inputs=("x",), **kw):
    return model(graph(nodes, [value_info(i, *F4) for i in inputs],
                       [value_info(o) for o in outputs], inits), **kw)


def bomb(levels):
    """Functions that each call the one before twice."""
    fs = [function("d", "f0", ["a"], ["c"], [node("Relu", ["a"], ["c"])])]
    for i in range(1, levels + 1):
        call = "f%d" % (i - 1)
        fs.append(function("d", "f%d" % i, ["a"], ["c"],
                           [node(call, ["a"], ["b"], domain="d"),
                            node(call, ["b"], ["c"], domain="d")],
                           opsets=((13, ""), (1, "d"))))
    return net([node("f%d" % levels, ["x"], ["y"], domain="d")], functions=fs,
               opsets=((13, ""), (1, "d")))


def loop(name, inside):
    """A loop of 3000 iterations over a state s."""
    body = graph(inside + [node("Identity", ["k"], ["k2"])],
                 [value_info("i" + name, "i64", []), value_info("k", "bool", []),
                  value_info("s", *F4)],
                 [value_info("k2", "bool", []), value_info("s2", *F4)])
    return [node("Loop", ["n", "", name], ["s2" if name == "s" else "y"],
                 attrs={"body": body})]


def relus(n):
    return [node("Relu", ["x"], ["y%d" % i]) for i in range(n)]


def layers(*more):
    return json.dumps({"dnnc": 1, "inputs": [{"name": "x", "shape": [1, 4]}],
                       "layers": list(more)}).encode()


def ifs(n):
    text = "func @main(%c: bool[], %x: f32[2]) -> (f32[2]) {\n"
    text += "".join("%%r%d = if %%c : f32[2] do {\n" % i for i in range(n))
    text += "yield %x\n"
    text += "".join("} else {\nyield %%x\n}\n%s %%r%d\n" % (
        "yield" if i else "return", i) for i in reversed(range(n)))
    return (text + "}\n").encode()


def scans(n):
    """Each too large for a small --max-ram."""
    text = "const @w : f32[64,64] = splat 0.5\n"
    text += "func @main(%x0: f32[8,64,64]) -> (f32[8,64,64]) {\n"
    for i in range(n):
        text += "%%x%d = scan %%x%d {states=0} : f32[8,64,64] do" % (i + 1, i)
        text += " (%%r%d: f32[64,64]) {\n%%a%d = matmul %%r%d, @w\n" % (i, i, i)
        text += "%%b%d = matmul %%a%d, @w\nyield %%b%d\n}\n" % (i, i, i)
    return (text + "return %%x%d\n}\n" % n).encode()


TILE = b"""module form kernels
func @main(%x: f16[17,32,4], %w: f16[1,1,4]) -> (f16[17,32,4]) {
  %y = kernel {unroll=[1000], vec=6, loops=[{dims=[0], tile=1000},
               {dims=[1], tile=5}, {dims=[2], tile=48}]} : f16[17,32,4] do {
    %1 = abs %x : f16[17,32,4]
    %2 = mul %1, %w : f16[17,32,4]
    yield %2
  }
  return %y
}
"""
SUMS = b"""module form kernels
func @main(%%x: f32[64,4096], %%w: f32[4096,512]) -> (f32[64,512]) {
  %%y = kernel {vec=8, unroll=[%d], loops=[{dims=[1], tile=%d},
                {dims=[0], tile=8}]} : f32[64,512] do {
    %%1 = matmul %%x, %%w
    yield %%1
  }
  return %%y
}
"""
CASES = [
    ("concat.onnx", 0, "", net([node("Concat", ["x"] * 60000, ["y"],
                                     attrs={"axis": 0})])),
    ("opsets.onnx", 0, "", net([node("Relu", ["x"], ["y"])], opsets=(
        (13, ""), *((1, "d%d" % i) for i in range(60000))))),
    ("dangling.onnx", 1, "E0301.*further errors are not shown",
     net([node("Relu", ["q%d" % i], ["w%d" % i]) for i in range(50000)])),
    ("fold.dnn", 0, r"reduce_sum @c_\d+ \{axes=\[0,1\]\}.*reduce_sum @a ", b"""
const @c_1 : f32[1048576,4096] = splat 1
const @a : i64[1025] = splat 2
const @b : f32[1024] = splat 3
func @main(%x: f32[1]) -> (f32[1], i64[1], f32[1]) {
  %1 = reduce_sum @c_1 {axes=[0,1]}
  %2 = reshape %1 {shape=[1]}
  %3 = add %x, %2
  %4 = reduce_sum @a {axes=[0]}
  %5 = reduce_sum @b {axes=[0]}
  return %3, %4, %5
}
""", "--limit-fold=1024", "--emit=graph", "-o", "-"),
    ("calls.onnx", 3, "limit-nodes", bomb(18)),
    ("loops.onnx", 0, "", net(
        loop("x", loop("s", [node("Relu", ["s"], ["s2"])])),
        [tensor("n", "i64", [], [3000])])),
    ("outputs.onnx", 3, "60001 inputs and outputs .--limit-ports",
     net(relus(60000), outputs=["y%d" % i for i in range(60000)])),
    ("functions.onnx", 3, "limit-nodes", net(
        [node("Relu", ["x"], ["y"])], functions=[
            function("d", "f%d" % i, ["a"], ["a"], []) for i in range(70000)])),
    ("lists.onnx", 3, "more than 64 elements in a list .--limit-attr", net(
        [node("Squeeze", ["x"], ["y"], attrs={"axes": list(range(65))})]),
     "--limit-attr=64", "-o", os.devnull),
    ("units.json", 3, "limit-random", layers(
        {"type": "dense", "units": 10**9, "weight": {"random": 1}})),
    ("errors.json", 3, "further errors are not shown",
     layers(*[{"type": "nix"}] * 100000)),
    ("tile.dnn", 0, "", TILE, "--passes=order,plan", "-O2"),
    ("sums.dnn", 3, "code would be too large", SUMS % (512, 64), "--passes=order,plan",
     "--mcpu=x86-64"),
    ("steps.dnn", 3, "code would be too large", SUMS % (513, 8), "--passes=order,plan",
     "--mcpu=x86-64"),
    ("calls.dnn", 3, "code would be too large", SUMS % (16, 32), "--passes=order,plan",
     "--target=thumbv6m"),
    ("ifs.dnn", 0, "", ifs(62)),
    ("scans.dnn", 4, "the budget is 20000", scans(500), "--max-ram=20000", "-o",
     os.devnull),
]


def run(name, code, text, data, *options):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(data)
    done = subprocess.run([dnnc, path, *(options or ["-o", os.devnull])],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=1500)
    said = done.stdout.decode("utf-8", "replace")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
    if done.returncode == code and re.search(text, said, re.S) and (
            not most or peak <= most):
        return 0
    print("%s: exit %d, %d MB, not %d and '%s':\n%s" % (
        name, done.returncode, peak, code, text, said[:2000]))
    return 1


os.makedirs(folder, exist_ok=True)
sys.exit(sum(run(*case) for case in CASES))
