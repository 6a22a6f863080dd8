"""llama.py STORIES.md TEXT: the text of temperature 0, to the byte."""
import sys

with open(sys.argv[1], encoding="utf-8") as f:
    after = f.read().split("-t 0.0\n", 1)[1]
want = after.split("\n```", 1)[0]
with open(sys.argv[2], encoding="utf-8") as f:
    got = f.read()
print("the reference's text" if got == want else f"{got!r}\nis not\n{want!r}")
