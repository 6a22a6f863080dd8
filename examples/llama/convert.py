#!/usr/bin/env python3
"""A checkpoint of llama2.c (version 0) as a model of dnnc: DIR/llama.json, a step
of the network as layers, DIR/llama.safetensors, its weights, and DIR/tokens.h, the
pieces of text. Usage: convert.py stories260K.bin tok512.bin DIR

The step takes a token and gives the logits of the next. Its position and each
layer's keys and values are state: a step puts one row into each cache."""
import json
import struct
import sys


class Model:
    def __init__(self, checkpoint):
        self.data, self.at = checkpoint, 28
        (self.dim, self.hidden, self.layers, self.heads, self.kv_heads,
         self.vocab, self.length) = struct.unpack("<7i", checkpoint[:28])
        self.head = self.dim // self.heads
        self.kv = self.kv_heads * self.head
        self.tensors, self.rows, self.inputs = {}, [], []
        if self.vocab < 0:
            sys.exit("convert.py: the classifier is not tied to the embedding")

    def read(self, name, *shape):
        """The next tensor of the checkpoint."""
        count = 1
        for n in shape:
            count *= n
        self.tensors[name] = (shape, self.data[self.at:self.at + 4 * count])
        self.at += 4 * count

    def read_all(self):
        d, h = self.dim, self.hidden
        self.read("embedding", self.vocab, d)
        for name, shape in (("norm1", [d]), ("q", [d, d]), ("k", [self.kv, d]),
                            ("v", [self.kv, d]), ("o", [d, d]), ("norm2", [d]),
                            ("w1", [h, d]), ("w2", [d, h]), ("w3", [h, d])):
            for i in range(self.layers):
                self.read(f"{name}.{i}", *shape)
        self.read("norm", d)
        self.read("cos", self.length, self.head // 2)
        self.read("sin", self.length, self.head // 2)
        if self.at != len(self.data):
            sys.exit("convert.py: the checkpoint has another size")

    # ---- Layers ----

    def add(self, type, *inputs, name=None, **keys):
        name = name or f"{type}{len(self.rows)}"
        self.rows.append({"type": type, "name": name, "inputs": list(inputs), **keys})
        return name

    def constant(self, name, shape, weight, **keys):
        self.rows.append({"type": "constant", "name": name, "shape": shape,
                          "weight": weight, **keys})
        return name

    def tensor(self, name):
        return self.constant(name, list(self.tensors[name][0]), name)

    def state(self, name, shape, dtype="f32"):
        self.inputs.append({"name": name, "shape": shape, "dtype": dtype,
                            "state": name + ".next"})
        return name

    def norm(self, x, weight):
        total = self.add("reduce_sum", self.add("mul", x, x), axes=[1])
        mean = self.add("add", self.add("mul", total, "1/dim"), "epsilon")
        x = self.add("mul", x, self.add("rsqrt", mean))
        return self.add("mul", x, self.tensor(weight))

    def dense(self, x, weight):
        return self.add("dense", x, units=self.tensors[weight][0][0], form="Wx",
                        weight=weight)

    def rotate(self, x, heads):
        """Pairs of neighbours by the angles of this position."""
        x = self.add("reshape", x, shape=[heads, self.head // 2, 2])
        half = [heads, self.head // 2, 1]
        a = self.add("slice", x, starts=[0, 0, 0], sizes=half)
        b = self.add("slice", x, starts=[0, 0, 1], sizes=half)
        even = self.add("sub", self.add("mul", a, "c"), self.add("mul", b, "s"))
        odd = self.add("add", self.add("mul", a, "s"), self.add("mul", b, "c"))
        return self.add("concat", even, odd, axis=2)

    def cache(self, name, row):
        """The cache with this position's row."""
        old = self.state(name, [self.length, self.kv_heads, self.head])
        row = self.add("reshape", row, shape=[1, self.kv_heads, self.head])
        return self.add("scatter", old, "position", row, name=name + ".next")

    def attention(self, x, i):
        group = self.heads // self.kv_heads
        q = self.rotate(self.dense(x, f"q.{i}"), self.heads)
        q = self.add("reshape", q, shape=[self.kv_heads, group, self.head])
        k = self.cache(f"keys.{i}",
                       self.rotate(self.dense(x, f"k.{i}"), self.kv_heads))
        v = self.cache(f"values.{i}", self.dense(x, f"v.{i}"))
        k = self.add("transpose", k, perm=[1, 2, 0])
        scores = self.add("mul", self.add("matmul", q, k), "1/sqrt(head)")
        scores = self.add("softmax", self.add("select", "seen", scores, "never"))
        y = self.add("matmul", scores, self.add("transpose", v, perm=[1, 0, 2]))
        y = self.add("reshape", y, shape=[1, self.dim])
        return self.dense(y, f"o.{i}")

    def feed_forward(self, x, i):
        gate = self.dense(x, f"w1.{i}")
        gate = self.add("mul", gate, self.add("sigmoid", gate))
        return self.dense(self.add("mul", gate, self.dense(x, f"w3.{i}")), f"w2.{i}")

    def step(self):
        self.inputs.append({"name": "token", "shape": [1], "dtype": "i32"})
        position = self.state("position", [1], "i32")
        for name, value in (("1/dim", 1 / self.dim), ("epsilon", 1e-5),
                            ("1/sqrt(head)", self.head ** -0.5), ("never", -1e30)):
            self.constant(name, [1], [value])
        self.constant("one", [1], [1], dtype="i32")
        self.constant("places", [self.length], list(range(self.length)), dtype="i32")
        self.add("le", "places", position, name="seen")
        half = [1, self.head // 2, 1]
        for name, table in (("c", "cos"), ("s", "sin")):
            self.add("reshape", self.add("gather", self.tensor(table), position),
                     shape=half, name=name)
        x = self.add("gather", self.tensor("embedding"), "token")
        for i in range(self.layers):
            x = self.add("add", x, self.attention(self.norm(x, f"norm1.{i}"), i))
            x = self.add("add", x, self.feed_forward(self.norm(x, f"norm2.{i}"), i))
        x = self.norm(x, "norm")
        words = self.add("matmul", "embedding", self.add("transpose", x, perm=[1, 0]))
        self.add("reshape", words, shape=[1, self.vocab], name="logits")
        self.add("add", position, "one", name="position.next")

    def write(self, folder):
        heads, blob = {}, b""
        for name, (shape, data) in self.tensors.items():
            heads[name] = {"dtype": "F32", "shape": list(shape),
                           "data_offsets": [len(blob), len(blob) + len(data)]}
            blob += data
        head = json.dumps(heads).encode()
        with open(folder + "/llama.safetensors", "wb") as f:
            f.write(struct.pack("<Q", len(head)) + head + blob)
        with open(folder + "/llama.json", "w") as f:
            json.dump({"dnnc": 1, "name": "llama", "weights": "llama.safetensors",
                       "inputs": self.inputs, "layers": self.rows,
                       "outputs": ["logits"]}, f, indent=1)


def write_tokens(data, vocab, path):
    at, pieces = 4, []
    for _ in range(vocab):
        size, = struct.unpack("<i", data[at + 4:at + 8])
        piece = data[at + 8:at + 8 + size]
        at += 8 + size
        if len(piece) == 6 and piece.startswith(b"<0x"):
            piece = bytes([int(piece[3:5], 16)])
        pieces.append('"' + "".join(f"\\{c:03o}" for c in piece) + '"')
    with open(path, "w") as f:
        f.write("static const char *const tokens[] = {\n" + ",\n".join(pieces) + "};\n")


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as f:
        model = Model(f.read())
    model.read_all()
    model.step()
    model.write(sys.argv[3])
    with open(sys.argv[2], "rb") as f:
        write_tokens(f.read(), model.vocab, sys.argv[3] + "/tokens.h")


if __name__ == "__main__":
    main()
