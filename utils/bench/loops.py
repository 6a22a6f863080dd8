#!/usr/bin/env python3
"""Lists the innermost loops of an object's functions that multiply, with what
they keep on the stack: an accumulator that does not stay in its register.

    loops.py OBJECT

One line a function: its frame in bytes, its innermost loops, and in the worst
of them the frame accesses of vectors and floats (spills) and of pointers. Prints
the total of spills and fails when there are any."""
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from glob import glob

Loop = namedtuple("Loop", "first last spills pointers multiplies size")
Function = namedtuple("Function", "name frame loops")

# On RISC-V whole registers (vs1r.v) are only moved to spill them.
FRAME = re.compile(r"\(%[re]sp\b|\(sp\)|\[sp\b|\bv[sl][1248]r")
MULTIPLY = re.compile(r"\b(v?fn?m|vmla|vml|fmla|mul[ps]s|vfm|smla|mul\b)")
VECTOR = re.compile(r"%[xyz]mm|^v|^f|^(ldr|str|ldp|stp|ldur|stur)\s+[qds]\d")
# What makes room on the stack, by back end.
ROOM = re.compile(r"\bsubq?\s+\$(\w+), %rsp|\bsub\S*\s+sp, (?:sp, )?#(\w+)|"
                  r"\baddi\s+sp, sp, -(\w+)|\[sp, #-(\w+)\]!")
JUMP = re.compile(r"^(j|b(?!lx?\b)|le|cb|tb)\S*\s+(?:.*[ ,])?0x([0-9a-f]+)")


def tool(name):
    found = shutil.which(name)
    return found or sorted(glob(f"/usr/lib/llvm-*/bin/{name}"))[-1]


def innermost(code):
    """(first, last) of loops without one inside, by addresses."""
    jumps = [(int(m[2], 16), at) for at, text in code for m in [JUMP.match(text)]
             if m and int(m[2], 16) <= at]
    return [(to, at) for to, at in jumps
            if not any(to <= t and a <= at and (t, a) != (to, at)
                       for t, a in jumps)]


def function(name, code):
    room = [int(g, 0) for _, text in code for m in [ROOM.search(text)] if m
            for g in m.groups() if g]
    loops = []
    for first, last in innermost(code):
        body = [text for at, text in code if first <= at <= last]
        frame = [t for t in body if FRAME.search(t)]
        spills = sum(bool(VECTOR.search(t)) for t in frame)
        loops.append(Loop(first, last, spills, len(frame) - spills,
                          sum(bool(MULTIPLY.match(t)) for t in body), len(body)))
    return Function(name, max(room, default=0), [l for l in loops if l.multiplies])


def read(path):
    """The functions of an object file."""
    text = subprocess.run([tool("llvm-objdump"), "-d", "--no-show-raw-insn",
                           "--no-leading-headers", path],
                          check=True, capture_output=True, text=True).stdout
    found, name, code = [], None, []
    for line in text.splitlines() + ["0 <>:"]:
        head = re.match(r"^[0-9a-f]+ <(.*)>:$", line)
        insn = re.match(r"^\s*([0-9a-f]+):\s+(.*)$", line)
        if head and not head[1].startswith((".L", "$")):
            if code:
                found.append(function(name, code))
            name, code = head[1], []
        elif insn and not head:
            code.append((int(insn[1], 16), insn[2].strip()))
    return found


def main():
    total = 0
    for f in read(sys.argv[1]):
        spills = max((l.spills for l in f.loops), default=0)
        pointers = max((l.pointers for l in f.loops), default=0)
        total += spills
        if f.loops:
            print(f"{f.name}: frame {f.frame}, loops {len(f.loops)}, "
                  f"spills {spills}, pointers {pointers}")
    print(f"spills {total}")
    return total != 0


if __name__ == "__main__":
    sys.exit(main())
