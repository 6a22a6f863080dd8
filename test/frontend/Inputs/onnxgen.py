#!/usr/bin/env python3
"""Writes small ONNX files for tests, with nothing but Python's own library.

    onnxgen.py TEST OUT.onnx [NAME [SET]]

makes the model described by the lines of TEST that start with `#|` (or, with
NAME, with `#NAME|`), and a folder SET with input_K.pb and output_K.pb of the
values that its inputs and outputs have there:

    opset 13                      opset com.example 1         ir 8
    in x: f32[1,3,N]              out y: f32[1,3,2]           out y
    in x: f32[3] = 1 2 3          out y: f32[4] = ramp 1 0.5
    init w: f32[2,2] = 1 2 3 4    init b: i64[1000] = fill 7
    in x: seq f32[N]              in x: opt f32[2]            in x: map:str f32
    sparse w: f32[2,2] = 5 6 at 1 2               (or at 0 1 1 0: [2,2] indices)
    y, z = Split(x, , w) axis=1 split=[1,2] mode="linear" name="s" domain="d"
    c = Constant() value=i64[2]:1,2
    y = If(c) then_branch=@yes else_branch=@no
    graph yes                     (in, out, init and nodes until `end`)
    function com.example.F(a, b) -> (c) attrs(alpha) opset 13     (until `end`)
    function com.example.F:over(a) -> (c)     y = F(x) overload="over" domain=...

Tests of malformed files use the functions below directly."""
import os
import re
import shlex
import struct
import sys

DTYPES = {"f32": 1, "u8": 2, "i8": 3, "u16": 4, "i16": 5, "i32": 6, "i64": 7,
          "str": 8, "bool": 9, "f16": 10, "f64": 11, "u32": 12, "u64": 13, "c64": 14,
          "bf16": 16, "f8e4m3fn": 17, "f8e4m3fnuz": 18, "f8e5m2": 19,
          "f8e5m2fnuz": 20, "u4": 21, "i4": 22, "f4e2m1": 23, "f8e8m0": 24,
          "u2": 25, "i2": 26}
PACK = {"f32": "f", "u8": "B", "i8": "b", "u16": "H", "i16": "h", "i32": "i",
        "i64": "q", "bool": "B", "f16": "e", "f64": "d", "u32": "I",
        "u64": "Q", "bf16": "H"}


# ---- The wire ----

def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def vint(field, n):
    return varint(field << 3) + varint(n)


def blob(field, data):
    if isinstance(data, str):
        data = data.encode()
    return varint(field << 3 | 2) + varint(len(data)) + data


def float32(field, x):
    return varint(field << 3 | 5) + struct.pack("<f", x)


# ---- Messages ----

def raw(dtype, values):
    return struct.pack("<%d%s" % (len(values), PACK[dtype]), *values)


def tensor(name, dtype, dims, values=None, data=None, more=b""):
    """values as raw_data, or `data` as the fields that hold the elements."""
    number = DTYPES.get(dtype, dtype)
    if data is None and dtype == "str" and values is not None:
        data = b"".join(blob(6, v) for v in values)
    if data is None:
        data = blob(9, raw(dtype, values)) if values is not None else b""
    out = b"".join(vint(1, d) for d in dims) + vint(2, number)
    return out + (blob(8, name) if name else b"") + data + more


def attr(name, value):
    """The type follows from the value; `Raw` gives the fields themselves."""
    out = blob(1, name)
    if isinstance(value, Raw):
        return out + value
    if isinstance(value, float):
        return out + float32(2, value) + vint(20, 1)
    if isinstance(value, int):
        return out + vint(3, value) + vint(20, 2)
    if isinstance(value, str):
        return out + blob(4, value) + vint(20, 3)
    if isinstance(value, Tensor):
        return out + blob(5, value) + vint(20, 4)
    if isinstance(value, Graph):
        return out + blob(6, value) + vint(20, 5)
    if value and isinstance(value[0], str):
        return out + b"".join(blob(9, x) for x in value) + vint(20, 8)
    if value and isinstance(value[0], float):
        return out + b"".join(float32(7, x) for x in value) + vint(20, 6)
    return out + b"".join(vint(8, x) for x in value) + vint(20, 7)


class Raw(bytes):
    pass


class Tensor(bytes):
    pass


class Graph(bytes):
    pass


def node(op, inputs, outputs, name="", domain="", attrs=(), more=b""):
    out = b"".join(blob(1, i) for i in inputs)
    out += b"".join(blob(2, o) for o in outputs)
    if name:
        out += blob(3, name)
    out += blob(4, op)
    if domain:
        out += blob(7, domain)
    for key, value in dict(attrs).items():
        out += blob(5, attr(key, value))
    return out + more


def value_info(name, dtype=None, dims=None):
    """dims: numbers, names, or None for an unknown one; dims None: no shape."""
    out = blob(1, name)
    if dtype is None:
        return out
    wraps = {"seq": 4, "opt": 9}
    *outer, dtype = dtype.split() if isinstance(dtype, str) else [dtype]
    kind = vint(1, DTYPES.get(dtype, dtype))
    if dims is not None:
        shape = b""
        for d in dims:
            dim = b"" if d is None else (
                blob(2, d) if isinstance(d, str) else vint(1, d))
            shape += blob(1, dim)
        kind += blob(2, shape)
    kind = blob(1, kind)
    for word in reversed(outer):
        if word.startswith("map:"):
            kind = blob(5, vint(1, DTYPES[word[4:]]) + blob(2, kind))
        else:
            kind = blob(wraps[word], blob(1, kind))
    return out + blob(2, kind)


def graph(nodes=(), inputs=(), outputs=(), inits=(), name="g", more=b""):
    out = b"".join(blob(1, n) for n in nodes) + blob(2, name)
    out += b"".join(blob(5, t) for t in inits)
    out += b"".join(blob(11, v) for v in inputs)
    return Graph(out + b"".join(blob(12, v) for v in outputs) + more)


def opset(version, domain=""):
    return (blob(1, domain) if domain else b"") + vint(2, version)


def model(g, opsets=((13, ""),), ir=8, functions=(), more=b""):
    out = vint(1, ir) + b"".join(blob(8, opset(*o)) for o in opsets)
    out += b"".join(blob(25, f) for f in functions)
    return out + blob(7, g) + more


def sparse(name, dtype, dims, values, at):
    """`at`: places in the flat tensor, or an index for each dim."""
    linear = len(at) == len(values)
    where = [len(values)] if linear else [len(values), len(dims)]
    out = blob(1, tensor(name, dtype, [len(values)], values))
    out += blob(2, tensor("", "i64", where, at))
    return out + b"".join(vint(3, d) for d in dims)


def function(domain, name, inputs, outputs, nodes, attrs=(),
             opsets=((13, ""),), overload=""):
    out = blob(1, name) + (blob(13, overload) if overload else b"")
    out += b"".join(blob(4, i) for i in inputs)
    out += b"".join(blob(5, o) for o in outputs)
    out += b"".join(blob(6, a) for a in attrs)
    out += b"".join(blob(7, n) for n in nodes)
    out += b"".join(blob(9, opset(*o)) for o in opsets)
    return out + blob(10, domain)


# ---- Text ----

def parse_type(text):
    m = re.fullmatch(r"((?:seq |opt |map:\w+ )*\w+)(?:\[(.*)\])?", text.strip())
    if m.group(2) is None:
        return m.group(1), None
    dims = [d.strip() for d in m.group(2).split(",") if d.strip()]
    return m.group(1), [int(d) if re.fullmatch(r"-?\d+", d) else
                        None if d == "?" else d for d in dims]


def parse_values(dtype, dims, text):
    count = 1
    for d in dims:
        count *= d
    if dtype == "str":  # words, or in quotes; \xHH is a byte
        return [re.sub(rb"\\x(..)", lambda m: bytes.fromhex(m.group(1).decode()),
                       w.encode()) for w in shlex.split(text)]
    words = re.split(r"[ ,]+", text.strip()) if text.strip() else []
    cast = float if dtype in ("f32", "f64", "f16") else int
    if words and words[0] == "fill":
        return [cast(words[1])] * count
    if words and words[0] == "ramp":
        return [cast(words[1]) + i * cast(words[2]) for i in range(count)]
    return [cast(w) for w in words]


def parse_sparse(name, dtype, dims, values, at):
    at = parse_values("i64", [], at)
    return sparse(name, dtype, dims, parse_values(dtype, dims, values), at)


def parse_attr(text, graphs):
    if text[0] == '"':
        return text[1:-1]
    if text[0] == "@":
        return graphs[text[1:]]
    m = re.fullmatch(r"sparse:(\w+\[[^\]]*\]):([^@]*)@(.*)", text)
    if m:  # sparse:f32[4]:1,2@0,3
        dtype, dims = parse_type(m.group(1))
        return Raw(vint(20, 11) + blob(22, parse_sparse(
            "", dtype, dims, m.group(2), m.group(3))))
    if text[0] == "$":  # the function's attribute; $i:name gives its type
        kind, name = text[1:].split(":")
        return Raw(blob(21, name) + vint(20, {"f": 1, "i": 2, "s": 3, "t": 4,
                                              "fs": 6, "is": 7}[kind]))
    m = re.fullmatch(r"(\w+\[[^\]]*\]):(.*)", text)
    if m:
        dtype, dims = parse_type(m.group(1))
        return Tensor(tensor("", dtype, dims, parse_values(dtype, dims,
                                                           m.group(2))))
    if text[:2] == '["':
        return [w.strip().strip('"') for w in text[1:-1].split(",")]
    number = lambda w: float(w) if re.search(r"[.en]", w) else int(w)
    if text[0] == "[":
        return [number(w) for w in text[1:-1].split(",") if w.strip()]
    return number(text)


def parse_node(line, graphs):
    m = re.fullmatch(r"(.*?)=\s*(\w+)\((.*?)\)(.*)", line)
    names = lambda s: [n.strip() for n in s.split(",")] if s.strip() else []
    attrs, special = {}, {"name": "", "domain": ""}
    for key, value in re.findall(
            r'(\w+)=("[^"]*"|\[[^\]]*\]|(?:sparse:)?\w+\[[^\]]*\]:[-\w.,@]*|[^\s]+)',
            m.group(4)):
        if key == "overload":
            special["more"] = blob(8, value[1:-1])
        elif key in special:
            special[key] = value[1:-1]
        else:
            attrs[key] = parse_attr(value, graphs)
    return node(m.group(2), names(m.group(3)), names(m.group(1)),
                attrs=attrs, **special)


def parse_model(lines, data=None):
    """data: gets the values of inputs and outputs as (kind, tensor)."""
    opsets, ir, functions, graphs = [], 8, [], {}
    fresh = lambda: {"nodes": [], "inputs": [], "outputs": [], "inits": [],
                     "more": b""}
    main = parts = fresh()
    close = None
    for line in lines:
        word, _, rest = line.strip().partition(" ")
        if word in ("in", "out"):
            name, _, kind = rest.partition(":")
            kind, given, values = kind.partition("=")
            if given and data is not None:
                dtype, dims = parse_type(kind)
                data.append((word + "put", tensor(
                    name.strip(), dtype, dims,
                    parse_values(dtype, dims, values))))
            v = value_info(name.strip(), *(parse_type(kind) if kind else ()))
            parts[word + "puts"].append(v)
        elif word == "init":
            name, kind, values = re.fullmatch(
                r"(.*?):\s*(\S+)\s*=(.*)", rest).groups()
            dtype, dims = parse_type(kind)
            parts["inits"].append(tensor(name, dtype, dims,
                                         parse_values(dtype, dims, values)))
        elif word == "sparse":
            name, kind, values, at = re.fullmatch(
                r"(.*?):\s*(\S+)\s*=(.*) at ?(.*)", rest).groups()
            parts["more"] += blob(15, parse_sparse(name, *parse_type(kind),
                                                   values, at))
        elif word == "opset":
            domain, _, version = rest.rpartition(" ")
            opsets.append((int(version), domain))
        elif word == "ir":
            ir = int(rest)
        elif word == "graph":
            parts, close = fresh(), ("graph", rest.strip())
        elif word == "function":
            parts, close = fresh(), ("function", rest)
        elif word == "end":
            if close[0] == "graph":
                graphs[close[1]] = graph(**parts)
            else:
                d, n, over, i, o, a, v = re.fullmatch(
                    r"(.*)\.(\w+)(?::(\w+))?\((.*?)\)\s*->\s*\((.*?)\)"
                    r"(?:\s*attrs\((.*?)\))?(?:\s*opset (\d+))?",
                    close[1]).groups()
                split = lambda s: [w.strip() for w in (s or "").split(",")
                                   if w.strip()]
                functions.append(function(d, n, split(i), split(o),
                                          parts["nodes"], split(a),
                                          ((int(v or 13), ""), (1, d)), over))
            parts = main
        elif word:
            parts["nodes"].append(parse_node(line.strip(), graphs))
    return model(graph(**main), opsets or [(13, "")], ir, functions)


def main():
    prefix = "#%s|" % (sys.argv[3] if len(sys.argv) > 3 else "")
    with open(sys.argv[1]) as f:
        lines = [l[len(prefix):].rstrip("\n") for l in f if l.startswith(prefix)]
    data = []
    with open(sys.argv[2], "wb") as f:
        f.write(parse_model(lines, data))
    if len(sys.argv) > 4:
        os.makedirs(sys.argv[4], exist_ok=True)
        for kind in "input", "output":
            for k, t in enumerate(t for what, t in data if what == kind):
                with open("%s/%s_%d.pb" % (sys.argv[4], kind, k), "wb") as f:
                    f.write(t)


if __name__ == "__main__":
    main()
