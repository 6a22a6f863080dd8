"""lines.py OBJECT LISTING: the ops on the lines of each function's code."""
import re
import subprocess
import sys

listing = open(sys.argv[2]).read().splitlines()
text = subprocess.run(["llvm-objdump", "-dl", "--no-show-raw-insn", sys.argv[1]],
                      check=True, capture_output=True, text=True).stdout
ops, name, other = {}, None, 0
for line in text.splitlines():
    head = re.match(r"[0-9a-f]+ <(.*)>:", line)
    at = re.match(r"; .*planned\.dnn:(\d+)", line)
    if head:
        name = head[1]
    elif at:
        op = re.match(r"\s*(?:%.* = )?(\w+)", listing[int(at[1]) - 1])
        other += not op
        ops.setdefault(name, set()).add(op[1] if op else "?")
for name, found in ops.items():
    print("%s: %s" % (name, " ".join(sorted(found))))
print("other lines: %d" % other)
