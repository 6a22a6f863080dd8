"""shorten.py DNNC FOLDER: cuts models short at several times while they are
compiled; no run may end in a signal or an internal error."""
import os
import subprocess
import sys
import time

dnnc, folder = sys.argv[1:]
path = os.path.join(folder, "short.onnx")


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def port(name, n):
    shape = field(2, field(1, field(1, n)))
    return field(1, name) + field(2, field(1, field(1, 1) + shape))


def model(n):
    weight = field(1, n) + field(2, 1) + field(8, b"w") + \
        field(9, os.urandom(4 * n))
    node = field(1, b"x") + field(1, b"w") + field(2, b"y") + \
        field(4, b"Mul")
    graph = field(1, node) + field(2, b"g") + field(5, weight) + \
        field(11, port(b"x", n)) + field(12, port(b"y", n))
    return field(1, 8) + field(8, field(1, b"") + field(2, 17)) + \
        field(7, graph)


codes = {}
for n in (1000, 4 << 20):
    data = model(n)
    for k in range(8):
        with open(path, "wb") as f:
            f.write(data)
        p = subprocess.Popen([dnnc, path, "-o", os.path.join(folder, "s.o")],
                             stderr=subprocess.PIPE)
        time.sleep(0.02 + 0.04 * k)
        os.truncate(path, 100)
        text = p.communicate()[1].decode()
        code = p.returncode
        if code not in (0, 1, 2, 3):
            print(text)
        codes[code] = codes.get(code, 0) + 1
os.unlink(path)
print(codes)
sys.exit(not set(codes) <= {0, 1, 2, 3})
