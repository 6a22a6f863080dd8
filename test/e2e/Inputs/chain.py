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


def print_layers(n, wide):
    """Dense layers of their own weights: a chain, or all of one input."""
    for i in range(n):
        w = ", ".join(str((i * 7 + j * 5) % 10007 - 5003) for j in range(64))
        print("const @w%d : f32[8,8] = dense [%s]" % (i, w))
    print("func @main(%%x: f32[1,8]) -> (f32[%d,8]) {" % (n if wide else 1))
    for i in range(n):
        print("  %%m%d = matmul %s, @w%d" % (i, "%x" if wide or not i else
                                             "%%v%d" % (i - 1), i))
        print("  %%v%d = relu %%m%d" % (i, i))
    print("  %%y = concat %s {axis=0}" % ", ".join("%%v%d" % i for i in range(n))
          if wide else "  %y = neg %v" + str(n - 1))
    print("  return %y\n}")


kind, n = sys.argv[1], int(sys.argv[2])
if kind in ("layers", "wide"):
    print_layers(n, kind == "wide")
elif kind == "onnx":
    print_onnx(reuse(n))
else:
    print_dnn({"unary": unary, "reuse": reuse, "alive": alive}[kind](n))
