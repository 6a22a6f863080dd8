#!/usr/bin/env python3
"""Measures dnnc against ONNX Runtime on the same models in the same run.

    bench.py [--seconds S] [--rounds N] [--out FILE.md] [--flags "-O2"] [NAME|MODEL.onnx...]

For each model: both compute the same random input and must agree (rtol 1e-3, atol
1e-4 of the largest output); then they are timed in turn, N rounds of S seconds,
one thread each, and the medians are compared. ratio = ours / ONNX Runtime. The
fraction of peak is what dnnc-run prints: FLOP/s over those of a loop of FMAs timed
between the runs.
"""
import argparse
import json
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

import models

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / "build/bin"


def session(path):
    o = onnxruntime.SessionOptions()
    o.intra_op_num_threads = o.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), o, providers=["CPUExecutionProvider"])


def random_inputs(s):
    rng = np.random.default_rng(0)
    shape = lambda i: [d if isinstance(d, int) else 1 for d in i.shape]
    return {i.name: rng.standard_normal(shape(i)).astype(np.float32) for i in s.get_inputs()}


def agree(path, s, inputs, flags, work):
    """dnnc-run checks its outputs against those of ONNX Runtime."""
    outputs = s.run(None, inputs)
    save = lambda a, name: (work / name).write_bytes(numpy_helper.from_array(a).SerializeToString())
    for k, a in enumerate(inputs.values()):
        save(a, f"input_{k}.pb")
    for k, a in enumerate(outputs):
        save(a, f"output_{k}.pb")
    atol = 1e-4 * max(float(np.abs(a).max()) for a in outputs)
    run = subprocess.run([BIN / "dnnc-run", path, "--test-data", work, f"--atol={atol}", *flags],
                         capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{path}: {run.stdout}{run.stderr}")


def time_peer(s, inputs, seconds):
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        t = time.perf_counter()
        s.run(None, inputs)
        times.append(time.perf_counter() - t)
    return statistics.median(times) * 1e6


def time_ours(path, seconds, flags):
    out = subprocess.run([BIN / "dnnc-run", path, f"--bench={seconds}", "--random=0", *flags],
                         capture_output=True, text=True, check=True).stdout
    line = next(l for l in out.splitlines() if l.startswith("bench "))
    return {k: float(v) for k, v in re.findall(r"(\w+)=([\d.eE+-]+)", line)}


def compile_model(path, flags, work):
    obj, report = work / "m.o", work / "m.json"
    start = time.perf_counter()
    subprocess.run([BIN / "dnnc", path, "-o", obj, f"--report={report}", *flags], check=True)
    took = time.perf_counter() - start
    return took, obj.stat().st_size, json.loads(report.read_text())["arena_bytes"]


def measure(path, args):
    flags = args.flags.split()
    with tempfile.TemporaryDirectory() as tmp:
        work = Path(tmp)
        s = session(path)
        inputs = random_inputs(s)
        agree(path, s, inputs, flags, work)
        compile_s, size, arena = compile_model(path, flags, work)
        ours, peer = [], []
        for _ in range(args.rounds):
            peer.append(time_peer(s, inputs, args.seconds))
            ours.append(time_ours(path, args.seconds, flags))
    us = statistics.median(o["median_us"] for o in ours)
    other = statistics.median(peer)
    fraction = statistics.median(o["peak_fraction"] for o in ours)
    return (f"| {path.stem} | {us / 1e3:.3f} | {other / 1e3:.3f} | {us / other:.2f} "
            f"| {100 * fraction:.0f} % | {compile_s:.2f} | {size:,} | {arena:,} |")


def cpu_name():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--seconds", type=float, default=1)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--flags", default="-O2")
    p.add_argument("--out", default=str(ROOT / "docs/benchmarks.md"))
    p.add_argument("--models", default=str(ROOT / "build/bench"))
    p.add_argument("names", nargs="*")
    args = p.parse_args()
    Path(args.models).mkdir(parents=True, exist_ok=True)
    given = [Path(n) for n in args.names if n.endswith(".onnx")]
    names = [n for n in args.names if not n.endswith(".onnx")]
    paths = given + (models.write(args.models, names) if names or not given else [])
    lines = ["# Benchmarks", "",
             f"`utils/bench/run` on {cpu_name()}, one thread, batch 1, f32, `dnnc {args.flags}` against ONNX "
             f"Runtime {onnxruntime.__version__}: medians of {args.rounds} interleaved rounds. ratio = dnnc / "
             "ONNX Runtime, less is better. Outputs agree before anything is timed.", "",
             "| model | dnnc ms | ONNX Runtime ms | ratio | of FMA peak | compile s | object bytes | arena bytes |",
             "|---|---|---|---|---|---|---|---|"]
    for path in paths:
        lines.append(measure(path, args))
        print(lines[-1], flush=True)
    Path(args.out).write_text("\n".join(lines) + "\n")


main()
