"""Reads the table of utils/bench/count; fails where a processor takes more
instructions a multiply-accumulate than it did, with a little room, or where a
loop keeps vectors on the stack."""
import sys

BOUNDS = {"x86-64-v2, SSE": 1.05, "x86-64-v3, AVX2": 0.25, "aarch64, NEON": 0.35,
          "rv64gcv, VLEN 128": 0.19, "rv64gcv, VLEN 256": 0.10,
          "Cortex-M4F": 1.8, "Cortex-M55, MVE": 0.65, "rv32imafc": 1.8,
          "Cortex-M0, soft": 155, "Cortex-M3, soft": 90, "rv32imac, soft": 115}

failed = 0
for line in sys.stdin:
    row = [c.strip() for c in line.split("|")[1:-1]]
    if row[0] not in BOUNDS:
        continue
    if float(row[3]) > BOUNDS[row[0]] or int(row[5]):
        print("over the bound:", line.strip())
        failed = 1
sys.exit(failed)
