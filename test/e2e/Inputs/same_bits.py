"""same_bits.py DNNC_RUN [FLAG...] MODEL: outputs with 2, 3 and 5 threads have the
bits of those with one; prints how many bytes were compared."""
import os
import subprocess
import sys
import tempfile


def outputs(command, threads):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(command + ["--random=1", "--threads=%d" % threads,
                                  "--output-dir=" + folder], check=True)
        return {name: open(os.path.join(folder, name), "rb").read()
                for name in sorted(os.listdir(folder))}


one = outputs(sys.argv[1:], 1)
for n in 2, 3, 5:
    if outputs(sys.argv[1:], n) != one:
        sys.exit("other bits with %d threads" % n)
print("same bits in %d bytes" % sum(map(len, one.values())))
