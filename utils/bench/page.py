"""The tables of docs/benchmarks.md, from what bench.py measured: plain functions of
plain data, in Markdown."""
import math
import re


def table(head, rows):
    """Columns of numbers, but the first."""
    line = lambda cells: "| " + " | ".join(str(c) for c in cells) + " |"
    return [line(head), "|---|" + "---:|" * (len(head) - 1), *map(line, rows)]


def mean(ratios):
    """Geometric: that of ratios does not depend on which way they are taken."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def number(x, digits=2):
    return "" if x is None else f"{x:,.{digits}f}"


def ms(us):
    return number(us and us / 1e3, 3)


def percent(fraction):
    return f"{100 * fraction:.0f} %"


def results(rows, peers):
    """rows: model, us, peers {name: us}, missing {name: why}, fraction, compile_s, object,
    arena. The first peer is the reference."""
    used = [p for p in peers if any(p in r["peers"] for r in rows)]
    out, ratios = [], {}
    for r in rows:
        times = r["peers"]
        against = lambda peer: r["us"] / times[peer] if peer in times else None
        best = min(times, key=times.get, default=None)
        out.append([r["model"], ms(r["us"]), *(ms(times.get(p)) for p in used),
                    *([number(against(used[0])), number(against(best))] if used else []),
                    percent(r["fraction"]), number(r["compile_s"]),
                    f"{r['object']:,}", f"{r['arena']:,}"])
        if used and used[0] in times:
            ratios[r["model"]] = against(used[0])
    head = ["model", "dnnc ms", *(f"{p} ms" for p in used),
            *([f"ratio to {used[0]}", "to the best peer"] if used else []),
            "of FMA peak", "compile s", "object bytes", "arena bytes"]
    return table(head, out), ratios


def summary(ratios, peer):
    if not ratios:
        return []
    worst = max(ratios, key=ratios.get)
    return ["", f"Ratio to {peer}: geometric mean **{mean(ratios.values()):.2f}**, largest "
            f"{ratios[worst]:.2f} ({worst}), of {len(ratios)}."]


def missing(rows):
    """Why cells are empty."""
    why = {}
    for r in rows:
        for peer, text in r["missing"].items():
            why.setdefault(f"{peer} ({text})", []).append(r["model"])
    return [line for text, names in why.items()
            for line in ("", f"Not measured: {text}: {', '.join(names)}.")]


def levels(rows):
    """rows: model, fast and slow us."""
    return table(["model", "-O2 ms", "-O0 ms", "factor"],
                 [[m, ms(a), ms(b), number(b / a, 1)] for m, a, b in rows])


def profile(text):
    """Lines of dnnc-run --profile, and the peak that it names."""
    lines = re.findall(r"^ *([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+) +(\d+) +([\d.]+) "
                       r"(flops|memory) +(\S+) \((.*)\)$", text, re.M)
    keys = "us percent gflops peak bytes bound by name what".split()
    rows = [dict(zip(keys, l)) for l in lines]
    for r in rows:
        r.update({k: float(r[k]) for k in keys[:6]})
    peak = re.search(r"one core: ([\d.]+) gflops", text)
    return rows, float(peak[1]) if peak else 0


def layers(rows, peak):
    """Convolutions of a profile. The average weighs a layer by its operations."""
    rows = [r for r in rows if re.search(r"\bconv\b", r["what"])]
    flops = [r["us"] * r["gflops"] for r in rows]
    if not rows:
        return ["no convolutions"]
    average = sum(r["peak"] * f for r, f in zip(rows, flops)) / sum(flops)
    us = sum(r["us"] for r in rows)
    out = [[r["name"], r["what"], number(r["us"]), number(r["gflops"], 1),
            f"{r['peak']:.0f} %", number(r["bound"]), r["by"]] for r in rows]
    return table(["layer", "kernel", "us", "GFLOP/s", "of FMA peak", "bound us", "by"],
                 out) + [
        "", f"{len(rows)} layers in {us / 1e3:.2f} ms, {sum(flops) / us:.1f} of {peak:.1f} "
        f"GFLOP/s, which is {100 * sum(flops) / us / peak:.1f} % by medians; the mean of their "
        f"fractions of the peak, weighed by operations, is **{average:.1f} %**."]


def times(text, wall):
    """The table of --time-passes: rows under half a percent are added up. `wall`: ms
    from the start of the process to its end, as seen from outside."""
    rows = re.findall(r"^ *([\d.]+) +([\d.]+) +(?:(\d+)  )?(\S.*)$", text, re.M)
    big = [(float(t), float(p), n) for t, p, _, n in rows if float(p) >= .5]
    rest = [(float(t), float(p)) for t, p, _, _ in rows if float(p) < .5]
    out = [[n, number(t, 1), number(p, 1)] for t, p, n in big]
    out.insert(len(out) - 1, [f"{len(rest)} others", number(sum(t for t, _ in rest), 1),
                              number(sum(p for _, p in rest), 1)])
    covered = sum(float(t) for t, *_, name in rows if name != "total")
    return table(["phase", "ms", "%"], out) + [
        "", f"The rows are {100 * covered / wall:.1f} % of the {wall:.0f} ms that the process took."]
