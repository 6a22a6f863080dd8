"""chain.py KIND N: prints a chain of N nodes, as .dnn or (onnx) for onnxgen.py.
No two neighbours are the same op, so that nothing folds away."""
import sys

UNARY = ["sigmoid", "neg", "tanh", "exp", "abs", "sin", "relu"]
CHEAP = ["neg", "sigmoid", "abs", "relu"]
BINARY = ["sub", "max", "add", "min", "mul"]


def unary(n):
    """Each reads the one before."""
    for i in range(n):
        yield UNARY[i % len(UNARY)], [i - 1]


def reuse(n):
    """Two of three also read one that is up to 50 back."""
    for i in range(n):
        if i % 3:
            yield BINARY[i % len(BINARY)], [i - 1, max(-1, i - 1 - i * 7 % 50)]
        else:
            yield CHEAP[i // 3 % len(CHEAP)], [i - 1]


def alive(n):
    """The second half reads the first in order."""
    for i in range(n):
        if i < n // 2:
            yield CHEAP[i % len(CHEAP)], [i - 1]
        else:
            yield BINARY[i % len(BINARY)], [i - 1, i - n // 2]


def print_dnn(nodes):
    print("func @main(%x: f32[64]) -> (f32[64]) {")
    for i, (op, args) in enumerate(nodes):
        args = ["%%v%d" % a if a >= 0 else "%x" for a in args]
        print("  %%v%d = %s %s : f32[64]" % (i, op, ", ".join(args)))
    print("  return %%v%d\n}" % i)


def print_onnx(nodes):
    names = {"neg": "Neg", "sub": "Sub", "mul": "Mul"}
    print("#|opset 13\n#|in x: f32[64]")
    for i, (op, args) in enumerate(nodes):
        args = ["v%d" % a if a >= 0 else "x" for a in args]
        print("#|v%d = %s(%s)" % (i, names.get(op, op.capitalize()),
                                  ", ".join(args)))
    print("#|out v%d: f32[64]" % i)


kind, n = sys.argv[1], int(sys.argv[2])
if kind == "onnx":
    print_onnx(reuse(n))
else:
    print_dnn({"unary": unary, "reuse": reuse, "alive": alive}[kind](n))
