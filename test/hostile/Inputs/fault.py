"""fault.py SHIM KIND STEP COMMAND...: runs the command, whose files are named
from the current folder, once for each fault of fault.c that STEP selects: every
STEP-th call of the KIND alone, and every 4*STEP-th with all that follow. The
outputs are there from a run before and are whole afterwards: the same bytes
where the run succeeds, those from before where it fails, and nothing beside."""
import os
import subprocess
import sys
import time

shim, kind, step, command = (sys.argv[1], sys.argv[2], int(sys.argv[3]),
                             sys.argv[4:])
counter = os.path.abspath("count")
CODES = (0, 1, 2, 3, 70)


def start(fault):
    env = dict(os.environ, LD_PRELOAD=shim, FAULT=fault, FAULT_COUNT=counter)
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=600)
    count = int.from_bytes(open(counter, "rb").read(), sys.byteorder)
    os.remove(counter)
    return done.returncode, done.stderr.decode("utf-8", "replace"), count


def files():
    return {os.path.join(at, name): open(os.path.join(at, name), "rb").read()
            for at, _, names in os.walk(".") for name in names}


began = time.time_ns()
code, said, total = start(kind + ":0")
good = files()
written = [name for name in good if os.stat(name).st_ctime_ns > began]
assert code == 0 and total and written, (code, said, total)
bad, codes = 0, {}
for n in range(1, total + 1, step):
    for fault in ["%s:%d" % (kind, n)] + [
            "%s:%d+" % (kind, n)] * (n // step % 4 == 0):
        for name in written:
            with open(name, "w") as f:
                f.write("old")
        code, said, _ = start(fault)
        codes[code] = codes.get(code, 0) + 1
        now = files()
        # Where every rename fails, what has been put in place stays.
        wrong = [name for name in set(now) | set(good)
                 if now.get(name) != (
                     b"old" if code and name in written and
                     not (fault[-1] == "+" and now[name] == good[name])
                     else good.get(name))]
        if os.environ.get("FAULT_SHOW"):
            print("%s: exit %d: %s" % (fault, code, said))
        if code in CODES and not wrong and (code == 0 or "error: " in said):
            continue
        bad += 1
        print("%s: exit %d, %s:\n%s" % (fault, code, wrong or "files whole", said))
        for name in wrong:
            if name not in good:
                os.remove(name)
print("%s: %d of %d faults, exit codes %s, %d bad" % (
    command[1], sum(codes.values()), total,
    ", ".join("%s: %d" % c for c in sorted(codes.items())), bad))
sys.exit(bad != 0)
