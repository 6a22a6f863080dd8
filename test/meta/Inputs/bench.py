"""The tables of utils/bench/page.py from numbers that are easy to check."""
import sys

sys.path.insert(0, sys.argv[1] + "/utils/bench")
import page  # noqa: E402

row = {"us": 1000, "missing": {}, "compile_s": .25, "object": 1000, "arena": 2000}
rows = [{**row, "model": "m", "peers": {"A": 500, "B": 2000}, "fraction": .9},
        {**row, "model": "n", "peers": {"A": 2000}, "fraction": .8,
         "missing": {"B": "no such operator"}}]
table, ratios = page.results(rows, ["A", "B", "C"])
print(*table, *page.summary(ratios, "A"), *page.missing(rows), sep="\n")
print(*page.levels([("m", 1000, 3000)]), sep="\n")
profile = """\
        us      %   gflops  peak%       bytes      bound by      kernel
     10.00  20.00   100.00   50.0        1000       5.00 flops   conv1 (conv+add)
     30.00  60.00   100.00   90.0        1000      27.00 flops   conv2 (conv)
      9.00  18.00     0.00    0.0        1000       5.00 memory  pool (window_max)
      1.00   2.00     0.00    0.0           0       0.00         other
     50.00 100.00    80.00   60.0        3000      37.00         total of 3 kernels
medians of 9 runs; one core: 200.00 gflops, 20.00 GB/s of constants
"""
print(*page.layers(*page.profile(profile)), sep="\n")
