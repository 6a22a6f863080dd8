"""What a run of dnnc-run writes, and whether two runs agree."""
import math
import os
import struct
import subprocess
import tempfile


def outputs(*args):
    """.npy files by name, for random inputs that are the same every time."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["dnnc-run", *args, "--random=3", "--output-dir", folder],
                       check=True)
        return {n: open(os.path.join(folder, n), "rb").read()
                for n in sorted(os.listdir(folder))}


def same(got, want):
    """The same files of the same types: f32 within 1e-4, all else equal."""
    return got.keys() == want.keys() and all(
        same_file(got[n], want[n]) for n in got)


def same_file(a, b):
    start = 10 + struct.unpack_from("<H", a, 8)[0]
    if a[:start] != b[:start] or len(a) != len(b):
        return False
    if b"f4" not in a[:start]:
        return a == b
    pairs = zip(*(struct.unpack("<%df" % ((len(x) - start) // 4), x[start:])
                  for x in (a, b)))
    return all(math.isclose(x, y, rel_tol=1e-4, abs_tol=1e-5) for x, y in pairs)
