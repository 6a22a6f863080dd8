#!/usr/bin/env python3
"""flip.py OBJECT OUT - changes a byte of the largest constant of an object and drops
the checksum behind the file."""
import subprocess
import sys

data = bytearray(open(sys.argv[1], "rb").read())
best = None
for line in subprocess.run(["llvm-readelf", "-S", "--wide", sys.argv[1]], check=True,
                           capture_output=True, text=True).stdout.splitlines():
    word = line.replace("[ ", "[").split()
    if len(word) > 5 and word[1].startswith(".rodata"):
        best = max(best or (0, 0), (int(word[5], 16), int(word[4], 16)))
data[best[1] + best[0] // 2] ^= 16
open(sys.argv[2], "wb").write(data[:-16])
