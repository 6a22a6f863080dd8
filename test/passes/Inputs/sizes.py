"""sizes.py MODEL NAME=BOUND...: runs the model compiled up to the bounds, at random
sizes, beside the interpreter for each of these sizes; says how many agree."""
import math
import os
import random
import struct
import subprocess
import sys
import tempfile

model = sys.argv[1]
bounds = {k: int(v) for k, v in (a.split("=") for a in sys.argv[2:])}
random.seed(7)


def outputs(args):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["dnnc-run", *args, "--random=3", "--output-dir", folder],
                       check=True)
        return {n: open(os.path.join(folder, n), "rb").read()
                for n in sorted(os.listdir(folder))}


def same(a, b):
    start = 10 + struct.unpack_from("<H", a, 8)[0]
    if a[:start] != b[:start] or len(a) != len(b):
        return False
    if b"f4" not in a[:start]:
        return a == b
    n = (len(a) - start) // 4
    pairs = zip(struct.unpack("<%df" % n, a[start:]),
                struct.unpack("<%df" % n, b[start:]))
    return all(math.isclose(x, y, rel_tol=1e-4, abs_tol=1e-5) for x, y in pairs)


right = total = 0
for level in "-O0", "-O2", "-Os":
    with tempfile.TemporaryDirectory() as folder:
        obj = os.path.join(folder, "a.o")
        subprocess.run(["dnnc", model, level, "-o", obj] +
                       ["--dim=%s<=%d" % b for b in bounds.items()], check=True)
        for k in range(4):
            at = {n: (1, b)[k] if k < 2 else random.randint(1, b)
                  for n, b in bounds.items()}
            dims = ["--dim=%s=%d" % d for d in at.items()]
            got = outputs([obj, *dims])
            want = outputs([model, "--interp", *dims])
            ok = got.keys() == want.keys() and all(
                same(got[n], want[n]) for n in got)
            right += ok
            total += 1
            if not ok:
                print("differs", level, at)
print("%d of %d the same" % (right, total))
