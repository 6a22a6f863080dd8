"""linear.py CHAIN.py KIND SHORT LONG FACTOR: how much longer the passes take for a
chain of LONG nodes than for one of SHORT: less than FACTOR times. Both are timed in
turn, some times when they must be: on a busy machine the processor's time of the
same work differs by half, but a square does not come below the factor in any."""
import os
import resource
import subprocess
import sys
import tempfile

chain, kind, short, long, factor = sys.argv[1:]


def seconds(path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["dnnc", path, "--emit=planned", "-o", os.devnull], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime


with tempfile.TemporaryDirectory() as folder:
    paths = []
    for n in short, long:
        paths.append(os.path.join(folder, n + ".dnn"))
        with open(paths[-1], "w") as f:
            subprocess.run([sys.executable, chain, kind, n], stdout=f, check=True)
    for _ in range(5):
        times = [seconds(p) for p in paths]
        print("%s nodes: %.3f s, %s nodes: %.3f s" % (short, times[0], long, times[1]))
        if times[1] < float(factor) * max(times[0], 0.02):
            sys.exit()
sys.exit("more than %s times as long" % factor)
