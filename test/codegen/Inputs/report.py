"""report.py TEXT JSON HTML SIZE: the cells of each layer are the same in all three,
and its code is the section of its kernel's function as llvm-size has it."""
import json
import re
import sys

text, report, page, size = (open(path).read() for path in sys.argv[1:])
report = json.loads(report)
sections = {}
for line in size.splitlines():
    if line.startswith(".text."):
        name, n = line.split()[:2]
        sections[name] = int(n)

rows = text[text.index("LAYER"):].splitlines()[1:]
cells = re.findall(r"<tr>((?:<td>.*?</td>)+)</tr>", page)
assert len(rows) == len(cells) == len(report["layers"]) == 3, (rows, cells)
for i, (row, line, layer) in enumerate(zip(rows, cells, report["layers"])):
    html = re.findall("<td>(.*?)</td>", line)
    assert row.split()[: len(html)] == html, (row, html)
    bytes = html[-4:]
    want = [layer[k] for k in ("code_bytes", "weight_bytes", "bytes", "live_bytes")]
    assert [int(b.replace(",", "")) for b in bytes] == want, (bytes, want)
    assert want[0] == sum(n for name, n in sections.items() if ".k%d." % i in name)
soft = sum(n for name, n in sections.items() if ".__" in name)
assert soft == report["soft_bytes"] > 0, soft
assert sum(sections.values()) == report["text_bytes"]
