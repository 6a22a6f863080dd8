"""within.py [seconds=S] [mb=M] [user=S] -- COMMAND...: runs it and fails when it
took longer (by the clock, or by the processor) or more memory. Prints both."""
import os
import resource
import sys
import time

at = sys.argv.index("--")
limits = {k: float(v) for k, v in (a.split("=") for a in sys.argv[1:at])}
start = time.monotonic()
pid = os.posix_spawnp(sys.argv[at + 1], sys.argv[at + 1:], os.environ)
status = os.waitpid(pid, 0)[1]
use = resource.getrusage(resource.RUSAGE_CHILDREN)
took = {"seconds": time.monotonic() - start, "mb": use.ru_maxrss / 1024,
        "user": use.ru_utime}
print(", ".join("%s=%.2f" % kv for kv in took.items()))
code = os.waitstatus_to_exitcode(status)
for what, most in limits.items():
    if took[what] > most:
        print("over the limit: %s=%g" % (what, most))
        code = code or 99
sys.exit(code if code >= 0 else 128 - code)
