"""stack.py LIMIT [REPORT] < TEXT: fails unless the stack that target.c painted is
within what the model says, or REPORT of the shortest vectors, which is at most LIMIT
bytes more."""
import re
import sys

text = sys.stdin.read()
found = re.search(r"stack (\d+) (?:within|over) (\d+)", text)
if not found or "PASS" not in text:
    sys.exit("no result:\n" + text)
used, said = int(found[1]), int(found[2])
if len(sys.argv) > 2:
    said = int(re.search(r"stack .* ([\d,]+) B of", open(sys.argv[2]).read())[1])
print("stack", used, "of", said)
if not used <= said <= used + int(sys.argv[1]):
    sys.exit("more than %s bytes apart" % sys.argv[1])
