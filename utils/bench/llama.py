"""The step of examples/llama for ONNX Runtime: the same checkpoint, with caches that
grow by a row, which is how exporters write it; and a story by it."""
import importlib.util
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/llama/convert.py"


def read(checkpoint):
    spec = importlib.util.spec_from_file_location("convert", EXAMPLE)
    convert = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(convert)
    model = convert.Model(checkpoint)
    model.read_all()
    return model


class Step:
    def __init__(self, model):
        self.m, self.nodes, self.constants = model, [], []
        self.inputs = [("token", TensorProto.INT64, [1, 1]), ("at", TensorProto.INT64, [1, 1])]
        self.outputs = [("logits", TensorProto.FLOAT, [1, 1, model.vocab])]

    def add(self, op, *inputs, outputs=None, **keys):
        outputs = outputs or [f"v{len(self.nodes)}"]
        self.nodes.append(helper.make_node(op, list(inputs), outputs, **keys))
        return outputs[0]

    def weight(self, name, transposed=False):
        shape, data = self.m.tensors[name]
        a = np.frombuffer(data, np.float32).reshape(shape)
        a = np.ascontiguousarray(a.T) if transposed else a
        name += ".T" * transposed
        if name not in [c.name for c in self.constants]:
            self.constants.append(numpy_helper.from_array(a, name))
        return name

    def norm(self, x, name):
        return self.add("RMSNormalization", x, self.weight(name), epsilon=1e-5, axis=-1)

    def dense(self, x, name):
        return self.add("MatMul", x, self.weight(name, True))

    def rotate(self, x, heads):
        return self.add("RotaryEmbedding", x, self.weight("cos"), self.weight("sin"), "at",
                        interleaved=1, num_heads=heads)

    def attention(self, x, i):
        m, y = self.m, [f"y{i}", f"now_k{i}", f"now_v{i}"]
        for a in "kv":
            self.inputs.append((f"past_{a}{i}", TensorProto.FLOAT, [1, m.kv_heads, "past", m.head]))
            self.outputs.append((f"now_{a}{i}", TensorProto.FLOAT, [1, m.kv_heads, "now", m.head]))
        self.add("Attention", self.rotate(self.dense(x, f"q.{i}"), m.heads),
                 self.rotate(self.dense(x, f"k.{i}"), m.kv_heads), self.dense(x, f"v.{i}"), "",
                 f"past_k{i}", f"past_v{i}", outputs=y, q_num_heads=m.heads,
                 kv_num_heads=m.kv_heads)
        return self.dense(y[0], f"o.{i}")

    def feed_forward(self, x, i):
        gate = self.dense(x, f"w1.{i}")
        gate = self.add("Mul", gate, self.add("Sigmoid", gate))
        return self.dense(self.add("Mul", gate, self.dense(x, f"w3.{i}")), f"w2.{i}")

    def onnx(self):
        x = self.add("Gather", self.weight("embedding"), "token")
        for i in range(self.m.layers):
            x = self.add("Add", x, self.attention(self.norm(x, f"norm1.{i}"), i))
            x = self.add("Add", x, self.feed_forward(self.norm(x, f"norm2.{i}"), i))
        self.add("MatMul", self.norm(x, "norm"), self.weight("embedding", True),
                 outputs=["logits"])
        ports = [[helper.make_tensor_value_info(*p) for p in ps]
                 for ps in (self.inputs, self.outputs)]
        graph = helper.make_graph(self.nodes, "llama", *ports, self.constants)
        return helper.make_model(graph, ir_version=11,
                                 opset_imports=[helper.make_opsetid("", 23)])


def tell(session, model, most):
    """The likeliest tokens from the first one on, and how many a second."""
    empty = np.zeros((1, model.kv_heads, 0, model.head), np.float32)
    names = [i.name for i in session.get_inputs()][2:]
    past, tokens, start = [empty] * len(names), [1], time.process_time()
    while len(tokens) <= most:
        out = session.run(None, {"token": np.array([[tokens[-1]]]),
                                 "at": np.array([[len(tokens) - 1]]), **dict(zip(names, past))})
        past = out[1:]
        tokens.append(int(out[0].argmax()))
    return tokens[1:], most / (time.process_time() - start)


def pieces(llm):
    """Text of tokens."""
    data, at, found = (llm / "tok512.bin").read_bytes(), 4, []
    while at < len(data):
        size = int.from_bytes(data[at + 4:at + 8], "little")
        piece = data[at + 8:at + 8 + size].decode()
        byte = len(piece) == 6 and piece.startswith("<0x")
        found.append(chr(int(piece[3:5], 16)) if byte else piece)
        at += 8 + size
    return found


def write(folder, llm):
    model = read((llm / "stories260K.bin").read_bytes())
    path = folder / "llama.onnx"
    onnx.save(Step(model).onnx(), path)
    return path, model
