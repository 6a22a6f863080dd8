"""growth.py DIR: compiles each DIR/NAME.onnx for three sizes of N, counts the
instructions of one call (utils/bench/count), and compares them for each element,
or each element times log2 N where all are sorted: the larger sizes may take 1.5
times as many as the smallest. (The best 100 take less and less.)"""
import math
import subprocess
import sys
from pathlib import Path

COUNT = Path(__file__).resolve().parents[3] / "utils/bench/count"
SIZES = [2048, 16384, 131072]
KINDS = {"cumsum": "linear", "columns": "linear", "best": "linear",
         "sort": "n log n", "argmax": "linear", "stft": "linear"}


def counts(path):
    """One call at each size, and the size's share of work."""
    models = []
    for n in SIZES:
        size = n // 16 if path.stem == "columns" else n
        model = path.with_name(f"{path.stem}{n}.dnn")
        subprocess.run(["dnnc", path, f"--dim=N={size}", "--emit=graph", "-o", model],
                       check=True)
        models += [str(model), str(n)]
    table = subprocess.run([COUNT, "--only=x86v3", *models], check=True,
                           capture_output=True, text=True).stdout
    rows = [line.split("|") for line in table.splitlines() if "x86" in line]
    return [int(row[3].replace(",", "")) for row in rows]


failed = False
for name, kind in KINDS.items():
    found = counts(Path(sys.argv[1]) / f"{name}.onnx")
    each = [c / n / (math.log2(n) if kind == "n log n" else 1)
            for c, n in zip(found, SIZES)]
    ok = len(each) == len(SIZES) and max(each) <= 1.5 * each[0]
    failed |= not ok
    print(f"{name} {kind}: {'PASS' if ok else 'FAIL'}",
          " ".join(f"{e:.2f}" for e in each), flush=True)
sys.exit(failed)
