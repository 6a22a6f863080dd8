"""Writes the network of mlp.json twice into the current folder, with the same
weights: xw.json reads them as [in, units] from xw.safetensors, wx.json as
[units, in] from .npy files."""
import array
import json
import random
import struct

rng = random.Random(1)
header, payload = {}, b""
models = {"xW": [], "Wx": []}


def npy(name, shape, values):
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': %r, }" % (shape,)
    head += " " * (-(len(head) + 11) % 64) + "\n"
    with open(name, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)))
        f.write(head.encode() + array.array("f", values).tobytes())


def tensor(name, shape, values):
    global payload
    data = array.array("f", values).tobytes()
    header[name] = {"dtype": "F32", "shape": shape,
                    "data_offsets": [len(payload), len(payload) + len(data)]}
    payload += data


for name, n, units in (("fc1", 784, 100), ("fc2", 100, 100), ("fc3", 100, 10)):
    w = [[rng.gauss(0, (2 / n) ** 0.5) for _ in range(units)] for _ in range(n)]
    b = [rng.gauss(0, 0.1) for _ in range(units)]
    tensor(name + ".w", [n, units], [v for row in w for v in row])
    tensor(name + ".b", [units], b)
    npy(name + "_w.npy", (units, n), [row[u] for u in range(units) for row in w])
    npy(name + "_b.npy", (units,), b)
    layer = {"type": "dense", "name": name, "units": units}
    if name != "fc3":
        layer["activation"] = "sigmoid"
    models["xW"].append({**layer, "weight": name + ".w", "bias": name + ".b"})
    models["Wx"].append({**layer, "form": "Wx",
                         "weight": {"npy": name + "_w.npy"},
                         "bias": {"npy": name + "_b.npy"}})

text = json.dumps(header).encode()
with open("xw.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + payload)
for form, layers in models.items():
    model = {"dnnc": 1, "inputs": [{"name": "image", "shape": [1, 784]}],
             "layers": layers}
    if form == "xW":
        model["weights"] = "xw.safetensors"
    with open(form.lower() + ".json", "w") as f:
        json.dump(model, f, indent=1)
