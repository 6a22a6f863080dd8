"""Networks of one operator against the outputs that TensorFlow Lite Micro's reference
kernels gave, many in one image: seanet.py DATA SCRATCH BOARD [FIRST STEP]. BOARD is
one of utils/emulate; every STEP-th network from number FIRST on."""
import os
import re
import subprocess
import sys
import tarfile

data, scratch, board = sys.argv[1:4]
first, step = map(int, sys.argv[4:6] or (0, 1))
EMULATE = os.path.join(os.path.dirname(__file__), "../../../utils/emulate")
CTYPES = {"8": "signed char", "16": "short", "32": "int"}
IMAGE = 250000  # bytes of networks and numbers that go into one


def lines(archive, member):
    return archive.extractfile(member).read().decode().replace("\n", " ").replace(",", " ").split()


def networks():
    """(name, bytes of the model, inputs, output): numbers as texts."""
    with tarfile.open(os.path.join(data, "tflm", "seanet_integration_tests.tar.xz")) as t:
        members = {m.name: m for m in t.getmembers()}
        for name in sorted(n for n in members if n.endswith(".tflite"))[first::step]:
            parts = {k: lines(t, m) for k, m in members.items()
                     if re.match(re.escape(name[:-7]) + r"_(input\d+|golden)_", k)}
            yield (os.path.basename(name)[:-7], t.extractfile(members[name]).read(),
                   [parts[k] for k in sorted(parts) if "_input" in k],
                   next(v for k, v in parts.items() if "_golden" in k))


def check(folder, n, name, model, inputs, want):
    """A function check<n> of the image, which runs the network."""
    path = os.path.join(folder, name)
    with open(path + ".tflite", "wb") as f:
        f.write(model)
    options = subprocess.run([EMULATE, board], check=True, capture_output=True, text=True).stdout
    subprocess.run(["dnnc", path + ".tflite", "--name=n%d" % n, *options.split(),
                    "-o", os.path.join(folder, "n%d.o" % n)], check=True)
    with open(os.path.join(folder, "n%d.h" % n)) as f:
        header = f.read()
    ways = re.findall(r"^ \*   \S+: (in|out) [a-z]+(\d+)\[", header, re.M)
    bits = [b for way, b in ways if way == "out"]
    assert len(bits) == 1
    text = '#include "n%d.h"\nstatic int check%d(void) {\n' % (n, n)
    arrays = [("static const %s x%d" % (CTYPES[b], i), x) for i, (x, b) in
              enumerate(zip(inputs, (b for way, b in ways if way == "in")))]
    arrays.append(("static const %s want" % CTYPES[bits[0]], want))
    for what, numbers in arrays:
        text += "  %s[] __attribute__((aligned(64))) = {%s};\n" % (what, ",".join(numbers))
    names = iter("x%d" % i for i in range(len(inputs)))
    args = ["(const void *)" + next(names) if way == "in" else "(void *)output"
            for way, _ in ways]
    return text + """  int status = n%d_run(%s, arena);
  for (unsigned i = 0; !status && i < sizeof want / sizeof *want; i++)
    status = ((const %s *)output)[i] != want[i];
  if (status)
    put_text("%s differs\\n");
  return !status;
}
""" % (n, ", ".join(args), CTYPES[bits[0]], name)


def image(number, checks, arena, outputs):
    folder = os.path.join(scratch, str(number))
    with open(os.path.join(folder, "main.c"), "w") as f:
        f.write("""#include "board.h"
static unsigned char arena[%d] __attribute__((aligned(64)));
static unsigned char output[%d] __attribute__((aligned(64)));
%s
int main(void) {
  put_text("good ");
  put_number(%s);
  put_text("\\n");
  return 0;
}
""" % (arena + 64, outputs, "".join(checks),
       " + ".join("check%d()" % i for i in range(len(checks)))))
    out = subprocess.run([EMULATE, board, folder], check=True, capture_output=True,
                         text=True).stdout
    print("".join(l + "\n" for l in out.splitlines() if "differs" in l), end="")
    return int(re.search(r"good (\d+)", out)[1])


total = good = number = size = arena = outputs = 0
checks = []
for name, model, inputs, want in networks():
    folder = os.path.join(scratch, str(number))
    os.makedirs(folder, exist_ok=True)
    checks.append(check(folder, len(checks), name, model, inputs, want))
    with open(os.path.join(folder, "n%d.h" % (len(checks) - 1))) as f:
        arena = max(arena, int(re.search(r"ARENA_SIZE (\d+)u", f.read())[1]))
    outputs = max(outputs, 4 * len(want))
    size += len(model) + 4 * sum(map(len, [want, *inputs]))
    total += 1
    if size > IMAGE:
        good += image(number, checks, arena, outputs)
        checks, size, arena, outputs, number = [], 0, 0, 0, number + 1
if checks:
    good += image(number, checks, arena, outputs)
print("%s: %d of %d" % (board, good, total))
