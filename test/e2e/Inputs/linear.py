"""linear.py CHAIN.py KIND SHORT LONG FACTOR: how much longer the passes take for a
chain of LONG nodes than for one of SHORT: less than FACTOR times."""
import os
import resource
import subprocess
import sys
import tempfile

chain, kind, short, long, factor = sys.argv[1:]


def seconds(path):
    """The least processor time of three."""
    best = 1e9
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["dnnc", path, "--emit=planned", "-o", os.devnull],
                       check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime - before.ru_utime)
    return best


with tempfile.TemporaryDirectory() as folder:
    times = []
    for n in short, long:
        path = os.path.join(folder, "chain.dnn")
        with open(path, "w") as f:
            subprocess.run([sys.executable, chain, kind, n], stdout=f,
                           check=True)
        times.append(seconds(path))
print("%s nodes: %.3f s, %s nodes: %.3f s" % (short, times[0], long, times[1]))
sys.exit(times[1] > float(factor) * max(times[0], 0.02))
