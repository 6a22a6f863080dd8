#!/usr/bin/env python3
"""other.py FILE - makes the first output that a self-test expects a number over 32."""
import re
import sys

text = open(sys.argv[1]).read()
m = re.search(r"want0\[\] ALIGNED = \{\n(?:  [\d,]+\n)*?  ((?:\d+,){3})(\d+),", text)
text = text[:m.start(2)] + "66" + text[m.end(2):]
open(sys.argv[1], "w").write(text)
