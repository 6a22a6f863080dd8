"""large.py DIR: DIR/large.onnx, two tables of 1.15 GB in a file that is nearly
all holes, DIR/i.bin, and DIR/main.c, which calls it.

    y = (Gather(t0, i) + Gather(t1, i)) @ w"""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..",
                                "frontend", "Inputs"))
from onnxgen import blob, vint  # noqa: E402

ROWS, COLUMNS = 287500, 1000
BYTES = ROWS * COLUMNS * 4
folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)

with open(folder + "/t.bin", "wb") as f:
    f.truncate(2 * BYTES)
    for table, row, value in [(0, 1, 1), (0, ROWS - 1, 2), (1, 1, 4),
                              (1, ROWS - 1, 8)]:
        f.seek(table * BYTES + row * COLUMNS * 4)
        f.write(struct.pack("<f", value) * COLUMNS)
with open(folder + "/i.bin", "wb") as f:
    f.write(struct.pack("<4q", 1, ROWS - 1, 0, -1))


def entry(key, value):
    return blob(13, blob(1, key) + blob(2, value))


def table(k):
    return blob(5, vint(1, ROWS) + vint(1, COLUMNS) + vint(2, 1) +
                blob(8, "t%d" % k) + entry("location", "t.bin") +
                entry("offset", str(k * BYTES)) + entry("length", str(BYTES)) +
                vint(14, 1))


def node(op, inputs, output):
    return blob(1, b"".join(blob(1, x) for x in inputs) + blob(2, output) +
                blob(4, op))


def port(field, name, dtype, shape):
    dims = b"".join(blob(1, vint(1, d)) for d in shape)
    return blob(field, blob(1, name) +
                blob(2, blob(1, vint(1, dtype) + blob(2, dims))))


w = blob(5, vint(1, COLUMNS) + vint(1, 2) + vint(2, 1) + blob(8, "w") +
         blob(9, struct.pack("<2f", 1, 0.5) * COLUMNS))
graph = (node("Gather", ["t0", "i"], "a") + node("Gather", ["t1", "i"], "b") +
         node("Add", ["a", "b"], "c") + node("MatMul", ["c", "w"], "y") +
         blob(2, "large") + table(0) + table(1) + w +
         port(11, "i", 7, [4]) + port(12, "y", 1, [4, 2]))
with open(folder + "/large.onnx", "wb") as f:
    f.write(vint(1, 8) + blob(7, graph) + blob(8, vint(2, 17)))
with open(folder + "/main.c", "w") as f:
    f.write("""#include "large.h"
#include <stdio.h>
static int64_t i[4] = {1, %d, 0, -1};
static float y[4][2];
static unsigned char arena[LARGE_ARENA_SIZE + 1]
    __attribute__((aligned(LARGE_ARENA_ALIGN)));
int main(void) {
  int status = large_run(i, y, arena);
  for (int k = 0; k < 4; k++)
    printf("%%g %%g\\n", (double)y[k][0], (double)y[k][1]);
  return status;
}
""" % (ROWS - 1))
