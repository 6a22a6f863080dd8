"""Reads the table of --time-passes: the sum of the shares, and whether the rows
account for 95 % of the total, which is measured apart from them."""
import re
import sys

rows = []
for line in open(sys.argv[1]):
    m = re.match(r" *([\d.]+) +([\d.]+) +(?:\d+  )?(\S.*)", line)
    if m:
        rows.append((float(m[1]), float(m[2]), m[3]))
total = rows.pop()
assert total[2] == "total"
named = sum(ms for ms, _, _ in rows)
print("shares %.1f, phases %s the total" % (
    sum(share for _, share, _ in rows),
    "cover" if named >= 0.95 * total[0] else "do not cover"))
