"""phases.py COMMAND...: reads the table of --time-passes that it writes: the sum of
the shares, and whether the rows account for 95 % of the total, which is measured
apart from them. Of some runs one must do so: on a busy machine the process may
have to wait where no phase is counted."""
import re
import subprocess
import sys


def read(text):
    rows = []
    for line in text.splitlines():
        m = re.match(r" *([\d.]+) +([\d.]+) +(?:\d+  )?(\S.*)", line)
        if m:
            rows.append((float(m[1]), float(m[2]), m[3]))
    total = rows.pop()
    assert total[2] == "total"
    covered = sum(ms for ms, _, _ in rows) >= 0.95 * total[0]
    return sum(share for _, share, _ in rows), covered


for _ in range(10):
    run = subprocess.run(sys.argv[1:], capture_output=True, text=True, check=True)
    shares, covered = read(run.stderr)
    if covered:
        break
print("shares %.1f, phases %s the total" % (
    shares, "cover" if covered else "do not cover"))
