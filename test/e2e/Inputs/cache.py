"""cache.py COUNT FOLDER: a decoder of two layers whose keys and values are state
that grows, as exporters write it (Concat), by the Attention operator and by ONNX
Runtime's GroupQueryAttention, which is told how many there are. 64 steps,
from an empty cache, give the rows of the same network on all 64 tokens at once.
Then counts what a step writes into its state, with COUNT (utils/bench/count)."""
import os
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "frontend/Inputs"))
import onnxgen

WIDE, HEADS, WORDS, LAYERS, STEPS = 16, 2, 11, 2, 64
HEAD = WIDE // HEADS
FORMS = "concat", "attention", "groups"
MAIN = """
#include "step.h"
#include <stdlib.h>
static unsigned char state[STEP_STATE_SIZE]
    __attribute__((aligned(STEP_STATE_ALIGN)));
static unsigned char arena[STEP_ARENA_SIZE]
    __attribute__((aligned(STEP_ARENA_ALIGN)));
static float logits[1][1][11];
int main(int argc, char **argv) {
  step_reset(state);
  for (int i = 0; i < atoi(argv[argc - 1]); i++) {
    int64_t token[1][1] = {{i % 11}};
#ifdef GROUPS
    int32_t lens[1] = {i}, total[1] = {i + 1};
    int status = step_run(token, lens, total, logits, i, state, arena);
#else
    int status = step_run(token, logits, i, state, arena);
#endif
    if (status)
      return status;
  }
  return 0;
}
"""


def weights(name, *shape):
    count = shape[0] * shape[1]
    dims = ",".join(map(str, shape))
    return f"init {name}: f32[{dims}] = " + " ".join(
        f"{random.gauss(0, 0.4):.6f}" for _ in range(count))


def layer(i, form):
    """Lines of a layer; `form`: concat, attention, groups or whole."""
    lines = [weights(f"w{a}{i}", WIDE, WIDE) for a in "qkvo"]
    lines += [f"{a}{i} = MatMul(x{i}, w{a}{i})" for a in "qkv"]
    if form != "whole":
        lines += [f"in past_{a}{i}: f32[1,{HEADS},past,{HEAD}]" for a in "kv"]
        lines += [f"out now_{a}{i}: f32[1,{HEADS},now,{HEAD}]" for a in "kv"]
    if form == "concat":
        for a in "qkv":
            lines += [f"{a}r{i} = Reshape({a}{i}, heads)",
                      f"{a}t{i} = Transpose({a}r{i}) perm=[0,2,1,3]"]
        lines += [f"now_{a}{i} = Concat(past_{a}{i}, {a}t{i}) axis=2" for a in "kv"]
        lines += [f"t{i} = Transpose(now_k{i}) perm=[0,1,3,2]",
                  f"s{i} = MatMul(qt{i}, t{i})", f"d{i} = Mul(s{i}, scale)",
                  f"p{i} = Softmax(d{i}) axis=3", f"m{i} = MatMul(p{i}, now_v{i})",
                  f"b{i} = Transpose(m{i}) perm=[0,2,1,3]",
                  f"y{i} = Reshape(b{i}, flat)"]
    elif form == "groups":
        lines += [f"y{i}, now_k{i}, now_v{i} = GroupQueryAttention(q{i}, k{i}, v{i}, "
                  f"past_k{i}, past_v{i}, lens, total) num_heads={HEADS} "
                  f'kv_num_heads={HEADS} domain="com.microsoft"']
    else:
        more = f", , past_k{i}, past_v{i}" if form == "attention" else ""
        made = f", now_k{i}, now_v{i}" if form == "attention" else ""
        lines += [f"y{i}{made} = Attention(q{i}, k{i}, v{i}{more}) is_causal=1 "
                  f"q_num_heads={HEADS} kv_num_heads={HEADS}"]
    return lines + [f"o{i} = MatMul(y{i}, wo{i})", f"x{i + 1} = Add(x{i}, o{i})"]


def write_model(form, path):
    random.seed(1)
    n = STEPS if form == "whole" else 1
    lines = ["opset 23", f"in token: i64[1,{n}]", f"out logits: f32[1,{n},{WORDS}]",
             weights("words", WORDS, WIDE), weights("head", WIDE, WORDS),
             f"init heads: i64[4] = 0 0 {HEADS} {HEAD}", "init flat: i64[3] = 0 0 16",
             f"init scale: f32[] = {HEAD ** -0.5}", "x0 = Gather(words, token)"]
    if form == "groups":
        lines[1:1] = ["opset com.microsoft 1"]
        lines += ["in lens: i32[1]", "in total: i32[]"]
    for i in range(LAYERS):
        lines += layer(i, form)
    lines += [f"logits = MatMul(x{LAYERS}, head)"]
    path.write_bytes(onnxgen.parse_model(lines, []))


def run(*argv):
    return subprocess.run([str(a) for a in argv], check=True, capture_output=True,
                          text=True).stdout


def logits(folder, model, *flags):
    shutil.rmtree(folder / "out", ignore_errors=True)
    names = ["token"] + ["lens", "total"] * (model.stem == "groups")
    inputs = [f"--input={n}={folder}/{n}.bin" for n in names]
    run("dnnc-run", model, *inputs, "--output-dir", folder / "out", *flags)
    data = (folder / "out/logits.npy").read_bytes()
    return struct.unpack(f"{STEPS * WORDS}f", data[-4 * STEPS * WORDS:])


def main():
    count, folder = sys.argv[1], Path(sys.argv[2])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "token.bin").write_bytes(
        struct.pack(f"{STEPS}q", *(i % WORDS for i in range(STEPS))))
    for name, first in ("lens", 0), ("total", 1):
        (folder / f"{name}.bin").write_bytes(
            struct.pack(f"{STEPS}i", *range(first, first + STEPS)))
    write_model("whole", folder / "whole.onnx")
    want = logits(folder, folder / "whole.onnx", "--interp")
    states = [f"--state=now_{a}{i}=past_{a}{i}" for i in range(LAYERS) for a in "kv"]
    for form in FORMS:
        path = folder / f"{form}.onnx"
        write_model(form, path)
        for level in "-O0", "-O2", "-Os":
            got = logits(folder, path, f"--dim=past<={STEPS}", "--dim=past=0+1",
                         f"--steps={STEPS}", *states, level)
            diff = max(abs(a - b) for a, b in zip(got, want))
            print(form, level, "equal" if diff <= 1e-5 else f"differ by {diff}")
    (folder / "main.c").write_text(MAIN)
    for form in FORMS:
        run("dnnc", folder / f"{form}.onnx", f"--dim=past<={STEPS}", *states,
            "--target=x86_64-linux-gnu", "--name=step", "-o", folder / "step.o")
        run(os.environ.get("CC", "cc"), *["-DGROUPS"] * (form == "groups"), "-static", f"-I{folder}", folder / "main.c",
            folder / "step.o", "-o", folder / "step")
        for steps in 1, 10, STEPS:
            lines = run(count, "--run=step", folder / "step", steps)
            print(form, steps, lines.splitlines()[1])


main()
