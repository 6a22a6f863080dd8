"""textbook.py DIR: the network 784-100-100-10 of the textbook with random
weights, written twice: by xW (weights [in, units]) and by Wx ([units, in])."""
import json
import random
import struct
import sys

folder = sys.argv[1]
random.seed(1)


def save(name, shape, values):
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }" % (
        "".join("%d, " % n for n in shape))
    head += " " * (-(len(head) + 11) % 64) + "\n"
    with open("%s/%s.npy" % (folder, name), "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)))
        f.write(head.encode() + struct.pack("<%df" % len(values), *values))


sizes = [784, 100, 100, 10]
layers = {"xW": [], "Wx": []}
for i in range(3):
    m, n = sizes[i], sizes[i + 1]
    w = [random.gauss(0, m ** -0.5) for _ in range(m * n)]
    save("w%d_xW" % i, (m, n), w)
    save("w%d_Wx" % i, (n, m), [w[k * n + j] for j in range(n)
                                for k in range(m)])
    save("b%d" % i, (n,), [random.gauss(0, 1) for _ in range(n)])
    for form in layers:
        layers[form].append({
            "type": "dense", "name": "fc%d" % (i + 1), "units": n, "form": form,
            "weight": {"npy": "w%d_%s.npy" % (i, form)},
            "bias": {"npy": "b%d.npy" % i}, "activation": "sigmoid"})
for form in layers:
    with open("%s/%s.json" % (folder, form), "w") as f:
        json.dump({"dnnc": 1, "name": "textbook",
                   "inputs": [{"name": "image", "shape": [1, 784]}],
                   "layers": layers[form]}, f)
