"""damage.py DNNC_RUN FILE N: runs N damaged copies of an object, cut short or
with a few bytes changed, and fails when one ends otherwise than the page of
dnnc-run says: by a signal, an internal error, or not at all."""
import os
import random
import subprocess
import sys
import tempfile

run, path, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
good = open(path, "rb").read()
rng = random.Random(1)
bad, codes = 0, {}
with tempfile.TemporaryDirectory() as folder:
    name = os.path.join(folder, "m" + os.path.splitext(path)[1])
    for i in range(count):
        data = bytearray(good)
        if i % 2:
            del data[4 + i * (len(data) - 4) // count:]
        else:
            for _ in range(rng.randrange(1, 4)):
                # Headers are at both ends of a file.
                at = rng.choice([rng.randrange(4, 64),
                                 rng.randrange(len(data) // 2, len(data) - 16)])
                data[at] ^= 1 << rng.randrange(8)
        with open(name, "wb") as f:
            f.write(data)
        try:
            code = subprocess.run([run, name, "--random=1"], timeout=60,
                                  capture_output=True).returncode
        except subprocess.TimeoutExpired:
            code = "timeout"
        codes[code] = codes.get(code, 0) + 1
        bad += code not in (0, 1, 2, 3)
print(path, codes)
sys.exit(bad != 0)
