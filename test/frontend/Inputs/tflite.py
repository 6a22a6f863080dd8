"""Writes a .tflite file from a text, for tests: tensors, then operators.

  in x i8[1,4,4,2] 0.5:3          an input; real = 0.5 * (stored - 3)
  w i8[3,1,1,2] 0.5,1,2:0@0 = 1 -2 3       a constant, its numbers repeated; a scale
                                  for each index of dimension 0
  out y i8[1,4,4,3] 0.25:-1       an output; others are between; `var`: state
  3 x w -> y 1i=1 2i=1            operator 3 (BuiltinOperator), options by their
                                  numbers: b a byte, i 32 bits, f a float, s a
                                  text, v a list; 3/1: of that kind in the
                                  union; `-` an absent input; a name: a custom
                                  operator, with x=NAME:NUMBER,... for options
  graph                           the next subgraph, with names of its own
Usage: tflite.py TEST OUT NAME: the lines of TEST that begin with #NAME|"""
import re
import struct
import sys

TYPES = {"f32": (0, "f"), "f16": (1, "e"), "i32": (2, "i"), "u8": (3, "B"), "i64": (4, "q"),
         "str": (5, "B"), "bool": (6, "?"), "i16": (7, "h"), "i8": (9, "b"), "res": (13, "B"),
         "u32": (15, "I"), "i4": (17, "b")}


class Table(dict):
    """Fields by their numbers: (struct format, value), or a Table, text, list."""


def write(root):
    """Tables before what they point to; one vtable for each."""
    out, later = bytearray(b"\0\0\0\0TFL3"), [(0, root)]

    def align(n):
        out.extend(b"\0" * (-len(out) % n))

    for at, v in later:
        if isinstance(v, Table):
            n = max(v, default=-1) + 1
            align(8)
            start = len(out)
            out.extend(b"\0" * ((4 + 2 * n + 7) // 8 * 8 + 4))
            table, offsets = len(out) - 4, [0] * n
            for k, field in sorted(v.items()):
                plain = isinstance(field, tuple)
                size = struct.calcsize(field[0]) if plain else 4
                align(size)
                offsets[k] = len(out) - table
                if plain:
                    out.extend(struct.pack("<" + field[0], field[1]))
                else:
                    later.append((len(out), field))
                    out.extend(b"\0\0\0\0")
            struct.pack_into("<HH%dH" % n, out, start, 4 + 2 * n, len(out) - table, *offsets)
            struct.pack_into("<i", out, table, table - start)
            where = table
        else:
            items, align_to = v, 4
            if isinstance(v, str):
                data, count = v.encode() + b"\0", len(v.encode())
            elif isinstance(v, bytes):
                data, count, align_to = v, len(v), 16
            elif v and isinstance(v[0], tuple):
                data = b"".join(struct.pack("<" + f, x) for f, x in v)
                count, align_to = len(v), max(4, struct.calcsize(v[0][0]))
            else:
                data, count = b"\0\0\0\0" * len(v), len(v)
            while (len(out) + 4) % align_to:
                out.append(0)
            align(4)
            where = len(out)
            out.extend(struct.pack("<I", count))
            if isinstance(v, list) and v and not isinstance(v[0], tuple):
                later.extend((where + 4 + 4 * i, x) for i, x in enumerate(v))
            out.extend(data)
        struct.pack_into("<I", out, at, where - at)
    return bytes(out)


def ints(values, kind="i"):
    return [(kind, int(v)) for v in values]


def pack(kind, values, n):
    values = [values[i % len(values)] for i in range(n)] if values else []
    code = TYPES[kind][1]
    if kind == "i4":
        values = [int(v) & 15 for v in values] + [0]
        return bytes(a | b << 4 for a, b in zip(values[::2], values[1::2]))
    number = float if code in "fe" else int
    return struct.pack("<%d%s" % (len(values), code), *[number(v) for v in values])


def tensor(name, words, buffers, variable):
    kind, dims = re.match(r"(\w+)\[([-\d,]*)\]", words.pop(0)).groups()
    dims = [int(d) for d in dims.split(",") if d]
    t = Table({0: ints(dims), 1: ("b", TYPES[kind][0]), 2: ("I", 0), 3: name})
    if words and words[0] != "=":
        q, _, axis = words.pop(0).partition("@")
        scales, _, zeros = q.partition(":")
        scales = scales.split(",")
        zeros = (zeros.split(",") if zeros else ["0"]) * len(scales)
        t[4] = Table({2: [("f", float(s)) for s in scales], 3: ints(zeros[:len(scales)], "q"),
                      6: ("i", int(axis or 0))})
    if variable:
        t[5] = ("b", 1)
    if words:
        n = 1
        for d in dims:
            n *= d
        t[2] = ("I", len(buffers))
        buffers.append(Table({0: pack(kind, words[1:], n)}))
    return t


def flexible(text):
    """A FlexBuffer: a map of numbers of 32 bits."""
    pairs = sorted(p.split(":") for p in text.split(","))
    out, at, types = b"", [], b""
    for key, _ in pairs:
        at.append(len(out))
        out += key.encode() + b"\0"
    out += b"\0" * (-len(out) % 4) + struct.pack("<I", len(pairs))
    keys = len(out)
    for a in at:
        out += struct.pack("<I", len(out) - a)
    out += struct.pack("<III", len(out) - keys, 4, len(pairs))
    values = len(out)
    for _, value in pairs:
        real = "." in value
        out += struct.pack("<f" if real else "<i", float(value) if real else int(value))
        types += b"\x0e" if real else b"\x06"
    out += types + b"\0" * (-len(types) % 4)
    return out + struct.pack("<IBB", len(out) - values, 0x26, 4)


def option(word):
    key, _, value = word.partition("=")
    if key == "x":
        return None, flexible(value)
    kind, field = key[-1], int(key[:-1])
    if kind == "s":
        return field, value
    if kind == "v":
        return field, ints(value.split(","))
    return field, (kind, float(value) if kind == "f" else int(value))


def subgraph(lines, number, buffers, codes):
    names, tensors, ops, ins, outs = {"-": -1}, [], [], [], []
    for words in lines:
        if "->" in words:
            op, arrow = words.pop(0), words.index("->")
            op, _, union = op.partition("/")
            end = next((i for i, w in enumerate(words) if "=" in w), len(words))
            if op not in codes:
                codes.append(op)
            options = dict(map(option, words[end:]))
            custom = options.pop(None, None)
            ops.append(Table({0: ("I", codes.index(op)),
                              1: ints(names[w] for w in words[:arrow]),
                              2: ints(names[w] for w in words[arrow + 1:end]),
                              3: ("B", int(union or 1)), 4: Table(options)}))
            if custom:
                ops[-1][5] = custom
            continue
        role = words.pop(0) if words[0] in ("in", "out", "var") else ""
        name = words.pop(0)
        if name not in names:
            names[name] = len(tensors)
            tensors.append(tensor(name, words, buffers, role == "var"))
        (ins if role == "in" else outs if role == "out" else []).append(names[name])
    return Table({0: tensors, 1: ints(ins), 2: ints(outs), 3: ops,
                  4: "graph%d" % number if number else "main"})


def model(text):
    graphs, codes, buffers = [[]], [], [Table()]
    for line in text.splitlines():
        words = line.split("//")[0].split()
        if words == ["graph"]:
            graphs.append([])
        elif words:
            graphs[-1].append(words)
    graphs = [subgraph(lines, i, buffers, codes) for i, lines in enumerate(graphs)]
    kinds = [Table({0: ("b", min(int(c), 127)), 3: ("i", int(c)), 2: ("i", 1)}) if c.isdigit()
             else Table({0: ("b", 32), 3: ("i", 32), 1: c}) for c in codes]
    return write(Table({0: ("I", 3), 1: kinds, 2: graphs, 3: "test", 4: buffers}))


if __name__ == "__main__":
    mark = "#%s|" % sys.argv[3]
    with open(sys.argv[1]) as f:
        lines = [line[len(mark):] for line in f if line.startswith(mark)]
    with open(sys.argv[2], "wb") as f:
        f.write(model("".join(lines)))
