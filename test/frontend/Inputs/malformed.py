#!/usr/bin/env python3
"""malformed.py DIR TOOL: writes malformed ONNX files to DIR, has
`TOOL check FILE...` import them, and compares exit codes and messages with the
table below. A row is (name, exit code, text of a diagnostic, bytes)."""
import os
import re
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from onnxgen import *  # noqa: E402,F403

F4 = ("f32", [4])
BIG = 1 << 62


def net(nodes, inits=(), inputs=None, outputs=("y",), **kw):
    """x: f32[4] -> y through `nodes`."""
    ins = [value_info("x", *F4)] if inputs is None else inputs
    return model(graph(nodes, ins, [value_info(o) for o in outputs], inits),
                 **kw)


def one(op, inputs=("x",), outputs=("y",), dims=(4,), inits=(), dtype="f32",
        opset=13, **attrs):
    return net([node(op, inputs, outputs, attrs=attrs)], inits,
               [value_info("x", dtype, list(dims))], opsets=((opset, ""),))


def relu(**kw):
    return net([node("Relu", ["x"], ["y"])], **kw)


def ints(name, *v):
    return tensor(name, "i64", [len(v)], v)


def sparse_net(data):
    """A sparse initializer 's'; what it holds is of no matter to the node."""
    return model(graph([node("Relu", ["x"], ["y"])], [value_info("x", *F4)],
                       [value_info("y")], more=blob(15, data)))


def const(dtype, dims, values=None, **kw):
    """An initializer alone, read by an Add."""
    return net([node("Identity", ["w"], ["y"])],
               [tensor("w", dtype, dims, values, **kw)])


def deep(n, field=b"\x3a"):
    """Graphs in attributes of nodes, n levels deep."""
    g = graph([node("Relu", ["x"], ["y"])])
    for _ in range(n):
        g = graph([node("If", ["x"], ["y"], attrs={"then_branch": g})])
    return model(g)


def calls(n, cyclic=False):
    """Functions f0 .. fn-1, each calling the one before (or in a ring)."""
    fs = []
    for i in range(n):
        callee = "f%d" % ((i - 1) % n) if i or cyclic else "Relu"
        domain = "d" if callee != "Relu" else ""
        fs.append(function("d", "f%d" % i, ["a"], ["b"],
                           [node(callee, ["a"], ["b"], domain=domain)],
                           opsets=((13, ""), (1, "d"))))
    return net([node("f%d" % (n - 1), ["x"], ["y"], domain="d")],
               functions=fs, opsets=((13, ""), (1, "d")))


def bomb(levels):
    """Each function calls the one before it twice: 2^levels nodes."""
    fs = [function("d", "f0", ["a"], ["b"], [node("Relu", ["a"], ["b"])])]
    for i in range(1, levels):
        name = "f%d" % (i - 1)
        fs.append(function("d", "f%d" % i, ["a"], ["c"],
                           [node(name, ["a"], ["b"], domain="d"),
                            node(name, ["b"], ["c"], domain="d")],
                           opsets=((13, ""), (1, "d"))))
    return net([node("f%d" % (levels - 1), ["x"], ["y"], domain="d")],
               functions=fs, opsets=((13, ""), (1, "d")))


def conv(dims=(1, 2, 8, 8), w=(4, 2, 3, 3), bias=None, **attrs):
    inits = [tensor("w", "f32", w, data=b"", more=blob(9, bytes(
        4 * max(0, eval("*".join(map(str, w)))))))]
    names = ["x", "w"]
    if bias:
        inits.append(tensor("b", "f32", [bias], [0.0] * bias))
        names.append("b")
    return one("Conv", names, dims=dims, inits=inits, **attrs)


def pool(op="MaxPool", dims=(1, 2, 8, 8), **attrs):
    return one(op, dims=dims, **attrs)


def external(**keys):
    entries = b"".join(blob(13, blob(1, k) + blob(2, v))
                       for k, v in keys.items())
    return const("f32", [2], data=entries + vint(14, 1))


def resize(scales=None, sizes=None, **attrs):
    inits, names = [], ["x", "", "", ""]
    if scales is not None:
        inits.append(tensor("s", "f32", [len(scales)], scales))
        names[2] = "s"
    if sizes is not None:
        inits.append(ints("z", *sizes))
        names[3] = "z"
    return one("Resize", names, dims=(1, 1, 4, 4), inits=inits, **attrs)


def then(op, inputs, opset=13, dims=(2, 3), **attrs):
    """op(x, integer lists...)."""
    inits = [ints("i%d" % k, *v) for k, v in enumerate(inputs) if v is not None]
    names = ["x"] + ["i%d" % k if v is not None else ""
                     for k, v in enumerate(inputs)]
    return one(op, names, dims=dims, inits=inits, opset=opset, **attrs)


good = relu()
NAN, INF = float("nan"), float("inf")
dup = blob(5, attr("axis", 0))

CASES = [
    # ---- the container ----
    ("M01-empty", 1, "is empty", b""),
    ("M01-one-byte", 1, "past the end", b"\x08"),
    ("M03-tflite", 1, "leads out of the file", b"\x1c\0\0\0TFL3" + bytes(20)),
    ("M03-gguf", 1, "GGUF", b"GGUF\3\0\0\0" + bytes(20)),
    ("M03-zip", 1, "zip", b"PK\3\4" + bytes(20)),
    ("M03-gzip", 1, "gzip", b"\x1f\x8b\x08" + bytes(20)),
    ("M03-hdf5", 1, "HDF5", b"\x89HDF\r\n\x1a\n" + bytes(20)),
    ("M03-npy", 1, "NumPy", b"\x93NUMPY\1\0" + bytes(20)),
    ("M03-utf16", 1, "UTF-16", b"\xff\xfe{\0" + bytes(20)),
    ("M03-elf", 1, "ELF", b"\x7fELF" + bytes(20)),
    ("M03-safetensors", 1, "safetensors", struct.pack("<Q", 30) + b'{"a":1}'),
    ("M03-noise", 1, "no known format", b"\xfe\xed\xfa\xce" + bytes(20)),
    ("M04-trailing", 1, "E0103", good + b"\xff\xff\xff"),
    ("M05-long-varint", 1, "longer than 64 bits", good + b"\x80" * 11 + b"\1"),
    ("M05-field-0", 1, "field number 0", good + b"\x00\x01"),
    ("M05-wire-3", 1, "wire type 3", good + b"\x43"),
    ("M05-wire-4", 1, "wire type 4", good + b"\x44"),
    ("M05-wire-6", 1, "wire type 6", good + b"\x46"),
    ("M05-wire-7", 1, "wire type 7", good + b"\x47"),
    ("M05-length", 1, "past the end", good + b"\x12\x7f"),
    ("M05-length-2G", 1, "past the end", good + b"\x12" + varint(1 << 31)),
    ("M05-length-64", 1, "past the end", good + b"\x12" + varint((1 << 64) - 1)),
    ("M05-wrong-type", 1, "field 7 has wire type", good + vint(7, 3)),
    ("M06-deep", 3, "limit-depth", deep(200)),
    ("M06-nested", 1, "E0103", b"\x3a\xff\xff\x03" * 10000),
    ("M08-nodes", 3, "E0108", b"\x08\x08" + blob(7, b"\x0a\x00" * 1100000)),
    ("M09-escapes", 3, r"\\x1B\[31m\\x0A",
     net([node("Nix\x1b[31m\n", ["x"], ["y"], name="a\0b")])),
    ("M09-utf8", 3, r"\\xFF",
     net([node(b"Nix\xff".decode("latin1"), ["x"], ["y"], "n")]).replace(
         "ÿ".encode(), b"\xff\xfe")),
    ("M09-long-name", 3, "limit-name",
     net([node("Relu", ["x"], ["y"], name="n" * 1000000)])),
    ("M10-names", 0, "",
     net([node("Relu", ["main"], ["../../y"], "a;rm -rf"),
          node("Relu", ["../../y"], ["memcpy"], "a.b"),
          node("Relu", ["memcpy"], ["y"], "a_b")],
         inputs=[value_info("main", *F4)])),
    # ---- the graph ----
    ("M11-self-loop", 1, "cycle", net([node("Relu", ["y"], ["y"])])),
    ("M11-cycle", 1, "cycle", net([node("Add", ["x", "b"], ["a"]),
                                   node("Relu", ["a"], ["b"]),
                                   node("Relu", ["b"], ["y"])])),
    ("M11-unsorted", 0, "", net([node("Relu", ["a"], ["y"]),
                                 node("Relu", ["x"], ["a"])])),
    ("M11-unsorted-long", 0, "", net(
        [node("Relu", ["x" if not i else "v%d" % i],
              ["y" if i == 4999 else "v%d" % (i + 1)])
         for i in reversed(range(5000))])),
    ("M11-inner-cycle", 1, "'w' \\(If\\): error: it is part of a cycle", net(
        [node("If", ["c"], ["y"], "w", attrs={
            k: graph([node("Relu", ["y"], [k])], (), [value_info(k)])
            for k in ("then_branch", "else_branch")})],
        [tensor("c", "bool", [], [1])])),
    ("M12-dangling", 1, "nothing makes its input 'q'",
     net([node("Add", ["x", "q"], ["y"])])),
    ("M12-output", 1, "output 'z': error: nothing makes it",
     relu(outputs=["z"])),
    ("M13-output-twice", 1, "made twice", net([node("Relu", ["x"], ["y"]),
                                               node("Abs", ["x"], ["y"])])),
    ("M13-input-made", 1, "made twice", net([node("Relu", ["x"], ["x"])],
                                            outputs=["x"])),
    ("M13-two-inits", 1, "made twice",
     relu(inits=[ints("w", 1), ints("w", 2)])),
    ("M13-init-and-input", 0, "",
     net([node("Add", ["x", "w"], ["y"])], [tensor("w", "f32", [1], [1.0])],
         [value_info("x", *F4), value_info("w", "f32", [1])])),
    ("M14-node-names", 0, "", net([node("Relu", ["x"], ["a"], "n"),
                                   node("Relu", ["a"], ["y"], "n")])),
    ("M15-empty-input", 1, "input 0 is missing",
     net([node("Add", ["", "x"], ["y"])])),
    ("M15-trailing", 0, "", one("Clip", ["x", "", ""])),
    ("M15-empty-output", 0, "", net([node("Relu", ["x"], [""]),
                                     node("Relu", ["x"], ["y"])])),
    ("M16-no-inputs", 1, "0 inputs", one("Softmax", [])),
    ("M16-cast-0", 1, "0 inputs", one("Cast", [], to=1)),
    ("M16-split-0", 1, "0 inputs", one("Split", [])),
    ("M16-many", 1, "3 inputs", one("Relu", ["x", "x", "x"])),
    ("M16-outputs", 1, "2 outputs", one("Relu", outputs=["y", "z"])),
    ("M16-no-outputs", 1, "no outputs", net([node("Relu", ["x"], []),
                                             node("Relu", ["x"], ["y"])])),
    ("M17-no-nodes", 1, "nothing makes it", net([])),
    ("M17-no-outputs", 1, "no outputs", relu(outputs=[])),
    ("M17-no-graph", 1, "no graph", vint(1, 8) + blob(8, opset(13))),
    ("M17-output-is-input", 0, "", net([], outputs=["x"])),
    ("M17-output-is-init", 0, "", net([], [ints("y", 1)])),
    ("M17-output-twice", 0, "", relu(outputs=["y", "y"])),
    ("M20-recursion", 1, "E0306", calls(1, cyclic=True)),
    ("M20-mutual", 1, "calls itself", calls(5, cyclic=True)),
    ("M20-depth-101", 3, "limit-calls", calls(101)),
    ("M20-depth-100", 0, "", calls(100)),
    ("M20-bomb", 3, "limit-nodes", bomb(41)),
    ("M20-twice", 1, "defined twice", relu(
        functions=[function("d", "f", ["a"], ["a"], [])] * 2)),
    ("M20-arity", 1, "the function has",
     net([node("f", ["x", "x"], ["y"], domain="d")], functions=[
         function("d", "f", ["a"], ["a"], [])],
         opsets=((13, ""), (1, "d")))),
    ("M20-no-output", 1, "function's output",
     net([node("f", ["x"], ["y"], domain="d")], functions=[
         function("d", "f", ["a"], ["b"], [])],
         opsets=((13, ""), (1, "d")))),
    # ---- versions and operators ----
    ("M24-unknown-op", 3, "not supported", one("Frobnicate")),
    ("M24-two-unknown", 3, "(?s)'Nix'.*'Nax'", net(
        [node("Nix", ["x"], ["a"], "Nix"), node("Nax", ["a"], ["y"], "Nax")])),
    ("M24-domain", 3, "domain 'com.nowhere'",
     net([node("Relu", ["x"], ["y"], domain="com.nowhere")])),
    ("M24-too-new", 1, "opset 13 has no such", one("Gelu")),
    ("M24-removed", 1, "opset 13 has no such",
     one("Upsample", ["x", "x"])),
    ("M25-no-opset", 1, "imports no opset", relu(opsets=())),
    ("M25-twice", 0, "", relu(opsets=((13, ""), (13, "ai.onnx")))),
    ("M25-highest", 0, "", net([node("Gelu", ["x"], ["y"])],
                               opsets=((13, ""), (20, "ai.onnx"), (12, "")))),
    ("M25-ml-alone", 0, "warning: no opset of 'ai.onnx' is imported: 28",
     relu(opsets=((3, "ai.onnx.ml"),))),
    ("M25-old", 0, "", relu(opsets=(), ir=2)),
    ("M25-zero", 1, "opset 0", relu(opsets=((0, ""),))),
    ("M25-negative", 1, "opset -1", relu(opsets=((-1, ""),))),
    ("M25-huge", 1, "opset 1000000", relu(opsets=((1000000, ""),))),
    ("M25-ai.onnx", 0, "", relu(opsets=((13, "ai.onnx"),))),
    ("M26-complex", 3, "complex64", const(14, [1], data=blob(9, bytes(8)))),
    ("M26-string", 1, "no UTF-8", const(8, [1], data=blob(6, b"\xff"))),
    ("M26-strings", 1, "1 strings", const(8, [1 << 20], data=blob(6, "a"))),
    ("M26-wide", 3, "strings are over", const(8, [1 << 16], data=blob(6, "a" * (1 << 20)) + blob(6, "") * 65535)),
    ("M26-fp4", 1, "2 bytes", const(23, [2], data=blob(9, bytes(2)))),
    ("M26-9999", 3, "9999", const(9999, [1], data=blob(9, bytes(8)))),
    ("M26-undefined", 1, "undefined", const(0, [1], data=blob(9, bytes(4)))),
    ("M26-input", 3, "element type complex64",
     relu(inputs=[value_info("x", 14, [4])])),
    ("M26-sequence", 3, "sequence",
     relu(inputs=[blob(1, "x") + blob(2, blob(4, b""))])),
    # ---- attributes ----
    ("M27-missing", 1, "'axis' is missing", one("Concat")),
    ("M27-type", 1, "of type float, not int", one("Concat", axis=1.0)),
    ("M27-unknown", 1, "unknown attribute 'nix'", one("Relu", nix=1)),
    ("M27-twice", 1, "given twice", net(
        [node("Concat", ["x"], ["y"], attrs={"axis": 0}, more=dup)])),
    ("M27-two-values", 1, "several types", one("Concat", axis=Raw(
        vint(3, 0) + float32(2, 1) + vint(20, 2)))),
    ("M27-ref", 1, "outside", one("Concat", axis=Raw(
        blob(21, "q") + vint(20, 2)))),
    ("M27-no-tensor", 1, "no value", net(
        [node("Constant", [], ["y"], attrs={"value": Raw(vint(20, 4))})])),
    ("M28-axis", 1, "axis 1 is outside", one("Concat", axis=1)),
    ("M28-axis-low", 1, "axis -2 is outside", one("Concat", axis=-2)),
    ("M28-axis-huge", 1, "outside", one("Softmax", axis=-(1 << 63))),
    ("M28-axis-most", 1, "outside", one("Softmax", axis=(1 << 63) - 1)),
    ("M28-twice", 1, "given twice",
     then("ReduceSum", [[0, -2]])),
    ("M28-scalar", 1, "axis 0 is outside",
     one("ReduceMax", dims=(), axes=[0])),
    ("M29-stride-0", 1, "strides holds 0", conv(strides=[0, 1])),
    ("M29-stride-neg", 1, "strides holds -1", conv(strides=[-1, 1])),
    ("M29-stride-max", 1, "strides holds", conv(strides=[(1 << 63) - 1, 1])),
    ("M29-dilation-0", 1, "dilations holds 0", conv(dilations=[1, 0])),
    ("M29-length", 1, "strides has 1", conv(strides=[1])),
    ("M29-kernel-0", 1, "window of size 0", pool(kernel_shape=[0, 1])),
    ("M29-kernel-neg", 1, "window of size -3", pool(kernel_shape=[3, -3])),
    ("M29-kernel-len", 1, "kernel_shape has 1", pool(kernel_shape=[3])),
    ("M29-empty-window", 1, "window of size 0", conv(w=(4, 2, 0, 3))),
    ("M30-length", 1, "pads has 2", conv(pads=[1, 1])),
    ("M30-huge", 1, "pads holds", conv(pads=[BIG, 0, 0, 0])),
    ("M30-crop", 1, "larger than", conv(pads=[-9, 0, 0, 0])),
    ("M30-reflect", 3, "reflect", then("Pad", [[3, 0, 0, 0]], mode="reflect")),
    ("M30-auto-pad", 1, "unknown auto_pad", conv(auto_pad="NIX")),
    ("M30-pad-huge", 1, "do not fit", then("Pad", [[BIG, BIG, BIG, BIG]])),
    ("M30-pad-length", 1, "3 pads", then("Pad", [[1, 1, 1]])),
    ("M30-pad-crop", 1, "crop", then("Pad", [[-3, 0, 0, 0]])),
    ("M30-pad-mode", 1, "unknown mode", then("Pad", [[1, 0, 0, 0]], mode="q")),
    ("M31-kernel", 1, "larger than", conv(dims=(1, 2, 2, 2))),
    ("M31-pool", 1, "larger than", pool(kernel_shape=[9, 9])),
    ("M32-group-0", 1, "0 groups", conv(group=0)),
    ("M32-group-neg", 1, "-1 groups", conv(group=-1)),
    ("M32-group-3", 1, "3 groups", conv(group=3)),
    ("M32-channels", 1, "do not fit", conv(dims=(1, 3, 8, 8))),
    ("M32-bias", 1, "bias", conv(bias=3)),
    ("M32-shape", 1, "kernel_shape is not", conv(kernel_shape=[5, 5])),
    ("M32-rank", 1, "no images", conv(dims=(2, 8, 8))),
    ("M33-block-0", 1, "blocksize is 0",
     one("SpaceToDepth", dims=(1, 4, 4, 4), blocksize=0)),
    ("M33-block-huge", 1, "blocksize is",
     one("DepthToSpace", dims=(1, 4, 4, 4), blocksize=1 << 40)),
    ("M33-block-fit", 1, "no blocks",
     one("DepthToSpace", dims=(1, 2, 4, 4), blocksize=2)),
    ("M33-split", 1, "do not sum", one(
        "Split", ["x", "s"], ["y", "z"], dims=(2, 3), inits=[ints("s", 1, 3)],
        axis=0)),
    ("M33-split-neg", 1, "do not sum", then("Split", [[-1]], axis=0)),
    ("M33-split-count", 1, "2 sizes", then("Split", [[1, 1]], axis=0)),
    ("M33-onehot-0", 0, "", one(
        "OneHot", ["x", "d", "v"], dtype="i64", inits=[
            ints("d", 0), tensor("v", "f32", [2], [0.0, 1.0])])),
    ("M33-tile", 1, "repeated -1", then("Tile", [[-1, 1]])),
    ("M33-tile-huge", 1, "repeated", then("Tile", [[BIG, 4]])),
    ("M34-two-open", 1, "-1 twice", then("Reshape", [[-1, -1]])),
    ("M34-zero", 1, "copies a dimension", then("Reshape", [[2, 3, 0]])),
    ("M34-product", 1, "another number", then("Reshape", [[7]])),
    ("M34-open", 1, "do not fill", then("Reshape", [[4, -1]])),
    ("M34-overflow", 1, "shape holds", then("Reshape", [[BIG, BIG]])),
    ("M34-negative", 1, "shape holds a number below -1", then("Reshape", [[-2, 3]])),
    ("M34-rank", 3, "more than 12 dimensions", then("Reshape", [[1] * 20])),
    ("M34-expand", 1, "broadcast", then("Expand", [[4, 3]])),
    ("M34-broadcast", 1, "broadcast",
     one("Add", ["x", "w"], inits=[tensor("w", "f32", [3], [0.0] * 3)])),
    ("M35-step-0", 1, "step is 0",
     then("Slice", [[0], [1], [0], [0]])),
    ("M35-step-min", 1, "step is",
     then("Slice", [[0], [1], [0], [-(1 << 63)]])),
    ("M35-bounds", 0, "",
     then("Slice", [[-(1 << 63)], [(1 << 63) - 1], [0], [1]])),
    ("M35-backwards", 0, "",
     then("Slice", [[(1 << 63) - 1], [-(1 << 63)], [0], [-1]])),
    ("M35-axes", 1, "given twice", then("Slice", [[0, 0], [1, 1], [0, 0]])),
    ("M35-lengths", 1, "differ in length", then("Slice", [[0, 0], [1]])),
    ("M36-gather", 1, "index 2 is outside", then("Gather", [[2]], axis=0)),
    ("M36-gather-neg", 1, "index -3 is outside", then("Gather", [[-3]], axis=0)),
    ("M36-elements", 1, "rank", then("GatherElements", [[0]], axis=0)),
    ("M36-gathernd", 1, "indices of 3", then("GatherND", [[0, 0, 0]])),
    ("M36-float", 1, "integers", one("Gather", ["x", "w"], axis=0, inits=[
        tensor("w", "f32", [1], [0.0])])),
    ("M37-transB", 1, "'transB' is 823", one(
        "Gemm", ["x", "x"], dims=(2, 2), transB=823)),
    ("M37-keepdims", 1, "'keepdims' is 2", one("ReduceMax", keepdims=2)),
    ("M37-lrn-0", 1, "size is 0", one("LRN", dims=(1, 4, 4, 4), size=0)),
    ("M37-lrn-huge", 1, "size is", one("LRN", dims=(1, 4, 4, 4), size=BIG)),
    ("M38-scale-0", 1, "scale 0", resize([1.0, 1.0, 0.0, 1.0])),
    ("M38-scale-nan", 1, "scale nan", resize([1.0, 1.0, NAN, 1.0])),
    ("M38-scale-huge", 1, "scale 1e\\+30", resize([1.0, 1.0, 1e30, 1.0])),
    ("M38-scale-tiny", 3, "", resize([1.0, 1.0, 1e-30, 1.0], mode="linear",
                                     antialias=1)),
    ("M38-sizes-0", 1, "size 0", resize(sizes=[1, 1, 0, 4])),
    ("M38-both", 1, "either scales or sizes",
     resize([1.0] * 4, [1, 1, 4, 4])),
    ("M38-length", 1, "either scales or sizes", resize([1.0])),
    ("M39-einsum", 1, "does not fit", one("Einsum", equation="ij->i")),
    ("M39-result", 1, "does not fit", one("Einsum", equation="i->j")),
    ("M39-noise", 1, "does not fit", one("Einsum", equation="->->,,")),
    ("M39-dots", 1, "does not fit", one("Einsum", equation="..i->i")),
    ("M39-long", 3, "over 511 char", one("Einsum", equation="i" * 10000)),
    # ---- shapes ----
    ("M41-negative", 1, "the size -4",
     relu(inputs=[value_info("x", "f32", [-4])])),
    ("M41-zero", 0, "", relu(inputs=[value_info("x", "f32", [0])])),
    ("M41-max", 3, "limit-tensor",
     relu(inputs=[value_info("x", "f32", [(1 << 63) - 1])])),
    ("M42-product", 3, "limit-tensor",
     relu(inputs=[value_info("x", "f32", [1 << 32, 1 << 32])])),
    ("M42-bytes", 3, "limit-tensor",
     relu(inputs=[value_info("x", "f64", [1 << 61])])),
    ("M42-zero", 3, "limit-tensor",
     relu(inputs=[value_info("x", "f32", [0, 1 << 40, 1 << 40])])),
    ("M43-scalar", 0, "", relu(inputs=[value_info("x", "f32", [])])),
    ("M43-rank-64", 3, "rank 64", relu(inputs=[value_info("x", "f32", [1] * 64)])),
    ("M43-rank-init", 3, "E0108", const("f32", [1] * 64, [0.0])),
    ("M43-rank-10^6", 3, "E0108", const("f32", [1] * 1000000, [0.0])),
    ("M43-unsqueeze", 3, "more than 12 dimensions",
     then("Unsqueeze", [list(range(20))])),
    ("M44-dtype", 1, "declared i64", model(graph(
        [node("Relu", ["x"], ["y"])], [value_info("x", *F4)],
        [value_info("y", "i64", [4])]))),
    ("M44-shape", 0, "another shape", model(graph(
        [node("Relu", ["x"], ["y"])], [value_info("x", *F4)],
        [value_info("y", "f32", [5])]))),
    ("M45-symbol", 3, "--dim N=VALUE",
     relu(inputs=[value_info("x", "f32", ["N"])])),
    ("M45-unnamed", 3, "--dim x.0=VALUE",
     relu(inputs=[value_info("x", "f32", [None])])),
    ("M45-no-shape", 3, "no shape", relu(inputs=[value_info("x", "f32")])),
    ("M45-no-type", 1, "no type", relu(inputs=[value_info("x")])),
    # ---- tensor data ----
    ("M48-short", 1, "4 bytes of data", const("f32", [2], [0.0])),
    ("M48-long", 1, "12 bytes of data", const("f32", [2], [0.0] * 3)),
    ("M48-odd", 1, "7 bytes of data", const("f32", [2], data=blob(9, bytes(7)))),
    ("M50-both", 1, "more than one place", const(
        "f32", [1], [0.0], more=blob(4, bytes(4)))),
    ("M50-field", 1, "another type", const("f32", [1], data=vint(7, 1))),
    ("M50-no-data", 1, "0 bytes of data", const("f32", [])),
    ("M50-empty", 0, "", const("f32", [0])),
    ("M50-empty-data", 1, "4 bytes of data", const("f32", [0], [0.0])),
    ("M50-typed-count", 1, "2 elements",
     const("i64", [3], data=vint(7, 1) + vint(7, 2))),
    ("M50-typed-bytes", 1, "8 bytes", const("f32", [3], data=blob(4, bytes(8)))),
    ("M50-unpacked", 0, "",
     const("f32", [2], data=float32(4, 1) + float32(4, 2))),
    ("M50-negative-dim", 1, "dimension 0 is -1", const("f32", [-1], [])),
    ("M51-nan", 0, "", const("f32", [3], [NAN, INF, 1e-42])),
    ("M51-bool", 0, "", const("bool", [2], [0, 7])),
    ("M51-range", 1, "which is no i8", const("i8", [1], data=vint(5, 300))),
    ("M51-bool-typed", 1, "which is no bool", const("bool", [1], data=vint(5, 2))),
    ("M52-empty", 1, "undefined", sparse_net(b"")),
    ("M52-good", 0, "", sparse_net(sparse("s", "f32", [4], [1.0, 2.0], [0, 3]))),
    ("M52-matrix", 0, "",
     sparse_net(sparse("s", "f32", [4, 4], [1.0, 2.0], [0, 1, 3, 0]))),
    ("M52-no-values", 0, "", sparse_net(sparse("s", "f32", [4], [], []))),
    ("M52-unsorted", 1, "do not ascend",
     sparse_net(sparse("s", "f32", [4], [1.0, 2.0], [3, 0]))),
    ("M52-twice", 1, "do not ascend",
     sparse_net(sparse("s", "f32", [4], [1.0, 2.0], [3, 3]))),
    ("M52-outside", 1, "outside of the shape",
     sparse_net(sparse("s", "f32", [4], [1.0], [4]))),
    ("M52-negative", 1, "outside of the shape",
     sparse_net(sparse("s", "f32", [4], [1.0], [-1]))),
    ("M52-outside-dim", 1, "outside of the shape",
     sparse_net(sparse("s", "f32", [4, 4], [1.0], [0, 4]))),
    ("M52-count", 1, "an index for each value",
     sparse_net(blob(1, tensor("s", "f32", [2], [1.0, 2.0])) +
                blob(2, ints("", 0, 1, 2)) + vint(3, 4))),
    ("M52-huge", 3, "limit-file",
     sparse_net(sparse("s", "f32", [1 << 36], [1.0], [7]))),
    ("M53-claim", 1, "do not fill",
     const("f32", [700000000], data=blob(4, b"\0"))),
    ("M53-claim-ints", 1, "do not fill",
     const("i64", [700000000], data=blob(7, b"\0"))),
    ("M53-segment", 3, "segment", const("f32", [1], [0.0], more=blob(3, b""))),
    # ---- external data ----
    ("M54-up", 1, "E0105", external(location="../x")),
    ("M54-inner-up", 1, "E0105", external(location="a/../../x")),
    ("M54-absolute", 1, "E0105", external(location="/etc/passwd")),
    ("M54-drive", 1, "E0105", external(location="C:\\x")),
    ("M54-share", 1, "E0105", external(location="\\\\server\\x")),
    ("M54-empty", 1, "E0105", external(location="")),
    ("M54-dot", 1, "E0105", external(location=".")),
    ("M54-nul", 1, "NUL", external(location="a\0b")),
    ("M54-url", 1, "E0105", external(location="file:///x")),
    ("M54-none", 1, "E0105", external()),
    ("M54-here", 0, "", external(location="./data")),
    ("M54-below-here", 0, "", external(location="./folder/.//data")),
    ("M54-here-up", 1, "E0105", external(location="./../x")),
    ("M54-absent", 1, "No such file", external(location="nothing-here")),
    ("M55-link", 1, "E0105", external(location="link")),
    ("M55-link-folder", 1, "E0105", external(location="linked/data")),
    ("M55-hard-link", 1, "hard link", external(location="hard")),
    ("M55-fifo", 1, "not a regular file", external(location="fifo")),
    ("M55-folder", 1, "E0105", external(location="folder")),
    ("M56-good", 0, "", external(location="data", offset="8", length="8")),
    ("M56-whole", 0, "", external(location="data")),
    ("M56-below", 0, "", external(location="folder/data")),
    ("M56-offset", 1, "outside the file", external(location="data", offset="12")),
    ("M56-offset-neg", 1, "bad offset", external(location="data", offset="-8")),
    ("M56-offset-word", 1, "bad offset", external(location="data", offset="0x1")),
    ("M56-offset-empty", 1, "bad offset", external(location="data", offset="")),
    ("M56-overflow", 1, "outside the file", external(
        location="data", offset=str((1 << 63) - 1), length="8")),
    ("M56-digits", 1, "bad offset", external(location="data", offset="9" * 30)),
    ("M56-length", 1, "4 bytes of data", external(location="data", length="4")),
    ("M56-petabyte", 1, "bytes of data",
     external(location="data", length=str(1 << 50))),
    ("M57-key", 1, "unknown key", external(location="data", colour="red")),
]


def surroundings(folder):
    """What the external tensors point at."""
    def put(*names):
        path = os.path.join(folder, *names)
        if os.path.lexists(path):
            os.remove(path)
        return path

    os.makedirs(os.path.join(folder, "folder"), exist_ok=True)
    for path in [put("data"), put("folder", "data"), put("hard")]:
        with open(path, "wb") as f:
            f.write(bytes(16))
    os.symlink("data", put("link"))
    os.symlink("folder", put("linked"))
    os.link(os.path.join(folder, "hard"), put("harder"))
    os.mkfifo(put("fifo"))


def run(tool, paths):
    """{path: (exit code, what was said)} of those that were tried."""
    p = subprocess.run([tool, "check"] + paths, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=900)
    said, result = [], {}
    for line in p.stdout.decode("utf-8", "replace").splitlines():
        m = re.fullmatch(r"(\S+\.onnx): exit (\d+)", line)
        if m:
            result[m.group(1)] = (int(m.group(2)), "\n".join(said))
            said = []
        else:
            said.append(line)
    if p.returncode:
        print("%s: exit code %d\n%s" % (tool, p.returncode, "\n".join(said)))
    return result, p.returncode == 0


def main():
    folder, tool = sys.argv[1], sys.argv[2]
    os.makedirs(folder, exist_ok=True)
    surroundings(folder)
    paths = []
    for name, _, _, data in CASES:
        paths.append(os.path.join(folder, name + ".onnx"))
        with open(paths[-1], "wb") as f:
            f.write(data)
    result, ok = run(tool, paths)
    wrong = 0
    for path, (name, code, text, _) in zip(paths, CASES):
        got, said = result.get(path, ("none", ""))
        if got == code and re.search(text, said) and (
                code == 0 or ": error: " in said):
            continue
        wrong += 1
        print("%s: exit %s, expected %d and '%s':\n%s" % (
            name, got, code, text, said))
    print("%d of %d as expected" % (len(CASES) - wrong, len(CASES)))
    return 0 if ok and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
