#!/usr/bin/env python3
"""Measures dnnc and other runtimes on the same models in the same run.

    bench.py [options] [NAME|MODEL.onnx...]

Writes a page of tables: to docs/benchmarks.md, or, with models or sections named or
--quick, to the standard output. --help lists the options; peers.py has the other runtimes,
models.py the networks, page.py the tables.
"""
import argparse
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from json import loads
from pathlib import Path

import page
import peers

ROOT = Path(__file__).resolve().parents[2]


def tool(*command):
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(map(str, command))}:\n{run.stdout}{run.stderr}")
    return run.stdout + run.stderr


# ---- One model ----

class Model:
    """A model compiled by us, and loaded by those peers that agree with the first."""

    def __init__(self, path, flags, threads, others, work, tolerance=1e-4):
        self.path, self.work, self.threads = path, work, threads
        self.tolerance = tolerance  # of the largest output, which outputs may differ by
        self.object, self.library, report = work / "m.o", work / "m.so", work / "m.json"
        self.flags = flags + ([f"--threads={threads}"] if threads > 1 else [])
        start = time.perf_counter()
        tool("dnnc", path, "-o", self.object, f"--report={report}", *self.flags)
        self.compile_s = time.perf_counter() - start
        tool("dnnc", path, "--emit=shared", "-o", self.library, *self.flags)
        self.arena = loads(report.read_text())["arena_bytes"]
        self.runs, self.missing = {}, {}
        if others:
            self.load(others)

    def load(self, others):
        inputs, want = peers.random_inputs(self.path), None
        for name in others:
            try:
                run, outputs = (peers.PEERS | peers.HALVES)[name][1](self.path, self.threads, inputs)
                run()
                got = [a.copy() for a in outputs()]
                wrong = peers.differ(got, want, self.tolerance) if want is not None else None
            except Exception as e:
                wrong = str(e).splitlines()[0] if str(e) else type(e).__name__
            if wrong:
                self.missing[name] = wrong
                continue
            want = got if want is None else want
            self.runs[name] = run
        if want is None:
            return
        peers.save(self.work, inputs, want)
        atol = self.tolerance * max(float(abs(a).max(initial=0)) for a in want)
        tool("dnnc-run", self.library, "--test-data", self.work, f"--atol={atol}",
             f"--threads={self.threads}")

    def time_peer(self, name, seconds):
        run, times = self.runs[name], []
        run()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 3:
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        return statistics.median(times) * 1e6

    def time_ours(self, seconds):
        out = tool("dnnc-run", self.library, f"--bench={seconds}", "--random=0",
                   f"--threads={self.threads}")
        line = next(l for l in out.splitlines() if l.startswith("bench "))
        return {k: float(v) for k, v in re.findall(r"(\w+)=([\d.eE+-]+)", line)}

    def measure(self, rounds, seconds):
        """Everyone in turn, in each round; medians over the rounds."""
        ours, others = [], {name: [] for name in self.runs}
        for _ in range(rounds):
            for name, times in others.items():
                times.append(self.time_peer(name, seconds))
            ours.append(self.time_ours(seconds))
        median = lambda key: statistics.median(o[key] for o in ours)
        return {"model": self.path.stem, "us": median("median_us"),
                "fraction": median("peak_fraction"),
                "peers": {n: statistics.median(t) for n, t in others.items()},
                "missing": self.missing,
                "compile_s": self.compile_s, "object": self.object.stat().st_size,
                "arena": self.arena}


STEPS = 2e-2  # sums that are not rounded alike move numbers of few bits by a step


def measure(args, path, threads=1, level="-O2", others=(), rounds=None, seconds=None, flags=(),
            tolerance=1e-4):
    with tempfile.TemporaryDirectory(dir=args.work) as work:
        m = Model(path, [level, *flags], threads, others, Path(work), tolerance)
        row = m.measure(rounds or args.rounds, seconds or args.seconds)
    print(threads, level, row["model"], f"{row['us'] / 1e3:.3f} ms", *(
        f"{n} {us / 1e3:.3f}" for n, us in row["peers"].items()), file=sys.stderr, flush=True)
    return row


# ---- Sections of the page: functions from arguments to lines ----

def cpu_name():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


def method(args):
    versions = [f"{n} {peers.version(n)}" for n in args.peers]
    absent = [n for n in peers.PEERS if n not in args.peers]
    return [
        "# Benchmarks", "",
        f"Written by `utils/bench/run` on {cpu_name()}, {os.cpu_count()} processors, "
        f"{platform.system()} {platform.release().split('-')[0]}.", "",
        f"* Batch 1, f32, random weights and inputs. dnnc -O2 against {', '.join(versions) or 'nothing'}"
        + (f"; not there: {', '.join(absent)}." if absent else "."),
        "* All runtimes compute the same inputs; what does not agree with "
        f"{args.peers[0] if args.peers else 'the first'} (1e-3, and 1e-4 of the largest output; "
        "where numbers have few bits 2e-2) is not timed. OpenVINO is told to compute in f32; IREE is called from Python, which takes "
        "some 20 us a run.",
        "* Models of dnnc run as shared libraries: weights are pages of a file, as in a program. "
        "Compile times are those of objects.",
        f"* Times are medians of {args.rounds} rounds; in each, all take their turn for "
        f"{args.seconds:g} s, at least three runs. ratio = dnnc / peer: less is better.",
        "* `of FMA peak` is the rate of multiply-accumulates by that of a loop of fused "
        "multiply-adds, timed between the runs, since the clock of the machine changes; of all runs "
        "the ninth decile, which leaves out what others on the machine took. Times are medians, so "
        "a rate that follows from them may be less.", ""]


def networks(args):
    lines = []
    for threads in args.threads:
        rows = [measure(args, p, threads, others=args.peers) for p in args.paths]
        if threads == 1:
            args.fast = {r["model"]: r["us"] for r in rows}
        table, ratios = page.results(rows, args.peers)
        lines += [f"## Networks, {threads} thread{'s' * (threads > 1)}", "", *table,
                  *page.summary(ratios, args.peers[0] if args.peers else ""),
                  *page.missing(rows), ""]
    return lines


def products(args):
    lines = []
    for threads in args.threads:
        rows = [measure(args, p, threads, others=args.peers) for p in args.products]
        lines += [f"## Matrix products, {threads} thread{'s' * (threads > 1)}", "",
                  *page.results(rows, args.peers)[0], *page.missing(rows), ""]
    return lines + ["M x K x N; the right-hand side is a constant, but of `_inputs`.", ""]


def scans(args):
    """Running sums, selections and transforms at three sizes: what grows as n or n log n."""
    import models
    rows = [measure(args, p, others=args.peers) for p in models.write(args.models, models.SCANS)]
    return ["## Running sums, orders, transforms", "", *page.results(rows, args.peers)[0],
            *page.missing(rows), "",
            "Of 10^4, 10^5 and 10^6 numbers; frames of 512 every 160. One thread.", ""]


def quantized(args):
    """Quantized by ONNX Runtime, against its and other integer kernels and our own floats."""
    if not peers.version("ONNX Runtime"):
        return ["## Quantized networks", "", "Not measured: ONNX Runtime is not there.", ""]
    import models
    names = models.QUANTIZED
    floats = [args.fast.get(p.stem) or measure(args, p)["us"] for p in models.write(args.models, names)]
    lines = ["## Quantized networks", ""]
    for threads in args.threads:
        rows = [measure(args, p, threads, others=args.peers, tolerance=STEPS)
                for p in models.write_quantized(args.models, names)]
        table, ratios = page.results(rows, args.peers)
        lines += [*table, *page.summary(ratios, args.peers[0] if args.peers else ""),
                  *page.missing(rows), ""]
        if threads == 1:
            own = [r["us"] / f for r, f in zip(rows, floats)]
            lines += [f"Of the time of the same network in floats: {page.mean(own):.2f} in the geometric "
                      f"mean, {max(own):.2f} at most.", ""]
    return lines + ["QDQ networks of ONNX Runtime's static quantizer: u8 activations, i8 weights of each "
                    "channel.", ""]


def dynamic(args):
    """Activations quantized at run time, and weights of 4 bits, which are read from memory."""
    if not peers.version("ONNX Runtime"):
        return ["## Dynamic quantization", "", "Not measured: ONNX Runtime is not there.", ""]
    import models
    lines = ["## Dynamic quantization, and weights of 4 bits", ""]
    for threads in args.threads:
        rows = [measure(args, p, threads, others=args.peers, tolerance=STEPS)
                for p in models.write(args.models, models.DYNAMIC)]
        lines += [f"{threads} thread{'s' * (threads > 1)}:", "", *page.results(rows, args.peers)[0],
                  *page.missing(rows), ""]
    return lines + ["BERT-base by ONNX Runtime's dynamic quantizer; eight products of a vector and "
                    "4096 x 4096 weights: f32, i8 with u8 activations, and MatMulNBits in blocks of "
                    "32.", ""]


def halves(args):
    """--precision=bf16 on a processor that sums up products of bf16."""
    head = ["## Networks in bf16", ""]
    if not re.search(r"^bdot_k +2 ", tool("dnnc", "--print-target-facts"), re.M):
        return head + ["Not measured: this processor has no sums of bf16.", ""]
    import models
    others = [n for n in peers.HALVES if peers.version(n)]
    paths = models.write(args.models, models.HALVES)
    floats = [args.fast.get(p.stem) or measure(args, p)["us"] for p in paths]
    rows = [measure(args, p, others=others, flags=["--precision=bf16"], tolerance=STEPS)
            for p in paths]
    own = [r["us"] / f for r, f in zip(rows, floats)]
    return head + [*page.results(rows, others)[0], *page.missing(rows), "",
                   f"One thread. Of the time of the same network in f32: {page.mean(own):.2f} in the "
                   f"geometric mean, {max(own):.2f} at most.", ""]


def tokens(args):
    """The story of examples/llama, and by ONNX Runtime, each by one thread; of some runs the best."""
    head = ["## Tokens a second", ""]
    llm, most = ROOT / "../shared/data/llm", 256
    if not peers.version("ONNX Runtime") or not llm.is_dir():
        return head + ["Not measured: ONNX Runtime or the checkpoint is not there.", ""]
    import llama
    import onnxruntime
    path, model = llama.write(args.models, llm)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    folder, ours, theirs = args.work / "llama", [], []
    run = [ROOT / "examples/llama/run.sh", llm / "stories260K.bin", llm / "tok512.bin", folder]
    subprocess.run(run, check=True, capture_output=True)
    pieces = llama.pieces(llm)
    for _ in range(args.rounds):
        done = subprocess.run([folder / "llama", str(most)], check=True, capture_output=True, text=True)
        ours.append(float(done.stderr.split()[2]))
        told, rate = llama.tell(session, model, most)
        theirs.append(rate)
    if "".join(pieces[t] for t in told).strip() != done.stdout.strip():
        sys.exit("bench.py: examples/llama and ONNX Runtime tell two stories")
    return head + [*page.table(["model", "dnnc", "ONNX Runtime", "ratio"],
                               [["stories260K", f"{max(ours):,.0f}", f"{max(theirs):,.0f}",
                                 f"{max(ours) / max(theirs):.2f}"]]), "",
                   f"{most} tokens of one story, the same by both; of {args.rounds} runs the best. "
                   "`examples/llama` keeps its caches as state; ONNX Runtime gets them as inputs and "
                   "outputs that grow, from Python.", ""]


def levels(args):
    rows = []
    for p in args.paths:
        fast = args.fast.get(p.stem) or measure(args, p)["us"]
        if args.quick and fast > 50e3:
            continue
        slow = measure(args, p, level="-O0", rounds=1, seconds=min(args.seconds, .1))["us"]
        rows.append((p.stem, fast, slow))
    factors = [slow / fast for _, fast, slow in rows]
    return ["## -O2 against -O0", "", *page.levels(rows), "",
            f"One thread. Geometric mean of the factors {page.mean(factors):.1f}, least "
            f"{min(factors):.1f}." + " The slowest networks are left out." * args.quick, ""]


def layers(args):
    path = args.detail
    rows, peak = page.profile(tool("dnnc-run", path, "--profile", "--random=0", "-O2"))
    return [f"## Layers of {path.stem}", "",
            f"`dnnc-run {path.stem}.onnx --profile`, one thread; its convolutions, with what is "
            "fused into them. The bound is the shortest time for so many operations or bytes.",
            "", *page.layers(rows, peak), ""]


def compile_time(args):
    path = args.detail
    with tempfile.TemporaryDirectory(dir=args.work) as work:
        start = time.perf_counter()
        out = tool("dnnc", path, "-O2", "-o", f"{work}/m.o", "--time-passes")
        wall = 1e3 * (time.perf_counter() - start)
    return [f"## Compiling {path.stem}", "", f"`dnnc {path.stem}.onnx --time-passes`", "",
            *page.times(out, wall), ""]


def counts(args):
    script = ROOT / "utils/bench/count"
    head = ["## Instructions on other processors", ""]
    needs = ["qemu-x86_64", "qemu-aarch64", "qemu-riscv64", "qemu-riscv32", "qemu-system-arm"]
    absent = [t for t in needs if not shutil.which(t)]
    if absent:
        return head + [f"Not counted: {', '.join(absent)} is not there.", ""]
    return head + [
            "`utils/bench/count`: instructions of the generated code for each multiply-accumulate, "
            "under QEMU. `ideal` is one for each vector; `spills` are accesses to the stack in "
            "innermost loops.", "", *tool(script).splitlines(), ""]


def sources(args):
    folders = "ir frontend passes codegen runtime tools".split()
    rows = []
    for f in folders:
        files = [p for p in sorted((ROOT / f).rglob("*")) if p.suffix in (".c", ".h", ".def")]
        rows.append([f, len(files), sum(len(p.read_text().splitlines()) for p in files)])
    rows.append(["all", sum(r[1] for r in rows), sum(r[2] for r in rows)])
    return ["## Lines of the compiler", "",
            *page.table(["folder", "files", "lines"], [[f, n, f"{k:,}"] for f, n, k in rows]), ""]


SECTIONS = [networks, products, quantized, dynamic, halves, scans, tokens, levels, layers, compile_time, counts, sources]


# ---- The command ----

def arguments():
    names = [s.__name__ for s in SECTIONS]
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--quick", action="store_true", help="few and short rounds, one thread")
    p.add_argument("--rounds", type=int)
    p.add_argument("--seconds", type=float, help="of each runtime in a round")
    p.add_argument("--threads", help="a table for each: 1,2")
    p.add_argument("--peers", help="default: " + ",".join(peers.PEERS))
    p.add_argument("--sections", help="of " + ",".join(names))
    p.add_argument("--out", help="the page; - is the standard output")
    p.add_argument("--models", type=Path, default=ROOT / "build/bench", help="where they are kept")
    p.add_argument("--build", default=ROOT / "build", help="of the tools")
    p.add_argument("names", nargs="*", metavar="MODEL")
    a = p.parse_args()
    some = a.quick or a.names or a.sections
    a.rounds = a.rounds or (2 if a.quick else 5)
    a.seconds = a.seconds or (.2 if a.quick else .5)
    a.threads = [int(t) for t in (a.threads or ("1" if a.quick else "1,2")).split(",")]
    a.peers = peers.PEERS if a.peers is None else a.peers.split(",")
    a.peers = [n for n in a.peers if n and peers.version(n)]
    a.out = a.out or ("-" if some else ROOT / "docs/benchmarks.md")
    wanted = a.sections.split(",") if a.sections else ["networks"] if a.names else names
    a.sections = [s for s in SECTIONS if s.__name__ in wanted]
    return a


def main():
    args = arguments()
    os.environ["PATH"] = f"{args.build}/bin:{os.environ['PATH']}"
    args.models.mkdir(parents=True, exist_ok=True)
    args.paths = [Path(n) for n in args.names if n.endswith(".onnx")]
    named = [n for n in args.names if not n.endswith(".onnx")]
    args.products, args.fast = [], {}
    if named or not args.paths and set(args.sections) - {scans, tokens, counts, sources}:
        import models
        args.paths += models.write(args.models, named or models.NETWORKS)
        args.products = models.write(args.models, models.PRODUCTS)
    args.detail = args.paths[0] if args.names else args.models / "resnet50.onnx"
    args.work = args.models / "work"
    args.work.mkdir(exist_ok=True)
    lines = method(args)
    for section in args.sections:
        lines += section(args)
        if args.out != "-":  # a long run leaves what it has
            Path(args.out).write_text("\n".join(lines).rstrip() + "\n")
    if args.out == "-":
        print("\n".join(lines).rstrip())


if __name__ == "__main__":
    main()
