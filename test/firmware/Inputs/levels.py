"""levels.py COUNT MODEL BOARD...: writes a small network to MODEL, counts its
instructions under QEMU by level (utils/bench/count) and fails where -O1 or -Os
cost more beside -O2 than they may, or -Os has more code."""
import subprocess
import sys

count, model, boards = sys.argv[1], sys.argv[2], sys.argv[3:]


def weights(name, *dims):
    n = 1
    for d in dims:
        n *= d
    return "const @%s : f32[%s] = dense [%s]" % (
        name, ",".join(map(str, dims)),
        ", ".join(str((i * 37 % 101 - 50) / 64) for i in range(n)))


with open(model, "w") as f:
    f.write("\n".join([
        weights("w0", 32, 3, 3, 4), weights("w1", 32, 3, 3, 1),
        weights("w2", 48, 1, 1, 32), weights("w3", 48, 10)]) + """
func @main(%x: f32[1,25,10,4]) -> (f32[1,10]) {
  %1 = conv %x, @w0 {pads=[1,1,1,1], strides=[2,2]}
  %2 = relu %1
  %3 = conv %2, @w1 {pads=[1,1,1,1], groups=32}
  %4 = relu %3
  %5 = conv %4, @w2
  %6 = relu %5
  %7 = reduce_sum %6 {axes=[1,2]}
  %8 = reshape %7 {shape=[1,48]}
  %9 = matmul %8, @w3
  return %9
}
""")

failed = False
for board in boards:
    cost = {}
    for level in ("-O1", "-O2", "-O3", "-Os"):
        out = subprocess.run([sys.executable, count, "--only=" + board,
                              "--flags=" + level, model, "1000"], check=True,
                             capture_output=True, text=True).stdout
        row = out.splitlines()[-1].replace(",", "").split("|")
        cost[level] = int(row[-7]), int(row[-2])
    for level, most in ("-O1", 2), ("-O3", 1.01), ("-Os", 1.4):
        times = cost[level][0] / cost["-O2"][0]
        bad = times > most or (level == "-Os" and cost[level][1] > cost["-O2"][1])
        failed |= bad
        print("%s %s: %.2f times -O2's instructions, %d bytes of code for %d%s" % (
            board, level, times, cost[level][1], cost["-O2"][1],
            ", over the bound" if bad else ""))
sys.exit(failed)
