"""sizes.py MODEL NAME=BOUND...: runs the model compiled up to the bounds, at random
sizes, beside the interpreter for each of these sizes; says how many agree."""
import os
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../e2e/Inputs"))
from outputs import outputs, same

model = sys.argv[1]
bounds = {k: int(v) for k, v in (a.split("=") for a in sys.argv[2:])}
random.seed(7)


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
            got = outputs(obj, *dims)
            want = outputs(model, "--interp", *dims)
            ok = same(got, want)
            right += ok
            total += 1
            if not ok:
                print("differs", level, at)
print("%d of %d the same" % (right, total))
