#!/usr/bin/env python3
"""Lists the innermost loops of an object's functions that multiply, with what
they keep on the stack: an accumulator that does not stay in its register.

    loops.py OBJECT

One line a function: its frame in bytes, its innermost loops, and in the worst
of them the frame accesses of accumulators (spills) and of other things, which
are pointers, counters and constants. A vector or float on the frame is an
accumulator; a core register is one when what is stored was made by a
multiplication (mla, or an addition of a product), or what is loaded goes into one
and was stored in the loop. Prints the total of spills and fails when there are
any."""
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
MULTIPLY = re.compile(
    r"\b(v?fn?m|vmla|vml|v?mul|fmla|smla|v?mul[ps]s|vfm|i?mul[slqwh]?\b|ml[as]\b|"
    r"[su]m[ul]+a?l?\w*|umaal|m(add|sub)\b|v?pmadd|v?pdp|[su]dot|vw?macc|vmladav)")
VECTOR = re.compile(r"%[xyz]mm|^v|^f|^(ldr|str|ldp|stp|ldur|stur)\s+[qds]\d")
# A product in core registers; added to an operand, or to be added.
ADDED = re.compile(r"^(ml[as]|smla\w*|[su]mlal\w*|umaal|smml[as]\w*|m(add|sub))\b")
PRODUCT = re.compile(r"^(muls?|smul\w*|[su]mull|smmul\w*|mul[wh]?|i?mul[lqw]?)\b")
ADD = re.compile(r"^(adds?|addw|add[lq]|c\.add|subs?|subw?|sub[lq])\b")
STORE = re.compile(r"^(str|strd|stp|stur|s[wd]|c\.s[wd]sp)\b|^mov[lq]?\s+%\w+, .*\(%[re]sp\b")
LOAD = re.compile(r"^(ldr|ldrd|ldp|ldur|l[wd]|c\.l[wd]sp)\b|^mov[lq]?\s+\S*\(%[re]sp\b")
REGISTER = re.compile(r"%\w+|\b(?:[rwx]\d+|[ast]\d+|lr|ip|ra|gp|tp|fp)\b")
# What makes room on the stack, by back end.
ROOM = re.compile(r"\bsubq?\s+\$(\w+), %rsp|\bsub\S*\s+sp, (?:sp, )?#(\w+)|"
                  r"\baddi\s+sp, sp, -(\w+)|\[sp, #-(\w+)\]!")
JUMP = re.compile(r"^(j|b(?!lx?\b)|le|cb|tb)\S*\s+(?:.*[ ,])?0x([0-9a-f]+)")


def tool(name):
    """The newest LLVM's: an older one does not know all instructions."""
    found = sorted(glob(f"/usr/lib/llvm-*/bin/{name}"))
    return found[-1] if found else shutil.which(name) or name


def innermost(code):
    """(first, last) of loops without one inside, by addresses."""
    jumps = [(int(m[2], 16), at) for at, text in code for m in [JUMP.match(text)]
             if m and int(m[2], 16) <= at]
    return [(to, at) for to, at in jumps
            if not any(to <= t and a <= at and (t, a) != (to, at)
                       for t, a in jumps)]


def operands(text):
    """(written, read) registers: AT&T's last operand is written, of others the
    first, or the first two of a long product and a pair."""
    names = REGISTER.findall(text.partition(" ")[2].replace("\t", " "))
    if "%" in text:
        names = [n.replace("%r", "%e", 1) for n in names if n not in ("%rsp", "%esp")]
        if STORE.match(text):
            return [], names
        keeps = not text.startswith(("mov", "lea")) and len(names) < 3
        return names[-1:], names if keeps else names[:-1]
    if STORE.match(text):
        return [], names
    two = re.match(r"([su]mlal|[su]mull|umaal|ldrd|ldp)", text)
    n = 2 if two else 1
    both = re.match(r"([su]mlal|umaal|smlald|smlsld)", text) or (
        len(names) == 2 and ADD.match(text))  # adds r0, r1
    return names[:n], names if both else names[n:]


def added(text):
    """The registers that a product is added to: of a long one the first two, which
    it writes, else the last."""
    names = REGISTER.findall(text)
    return names[:2] if re.match(r"[su]mla[lw]|umaal|smlsld", text) else names[-1:]


def slots(text):
    """The words of the frame that an access is of."""
    at = re.search(r"\[sp(?:, #(\w+))?\]|\b(\w*)\(%?[re]?sp", text)
    if not at:
        return set()
    first = int(at[1] or at[2] or "0", 0)
    return {first, first + 4} if re.match(r"ldrd|strd", text) else {first}


def kept(body, text):
    """What is loaded from the frame was stored in the same loop."""
    return any(STORE.match(t) and FRAME.search(t) and slots(t) & slots(text)
               for t in body)


def accumulates(body, i):
    """The access to the frame by body[i] is of an accumulator."""
    text = body[i]
    if VECTOR.search(text):
        return True
    written, read = operands(text)
    around = [(i + d) % len(body) for d in range(1, len(body))]
    products = set()
    if STORE.match(text):
        for name in read:
            for j in reversed(around):  # who made it
                if name in operands(body[j])[0]:
                    made = body[j]
                    if ADDED.match(made):
                        return True
                    if ADD.match(made) and any(
                            is_product(body, j, n) for n in operands(made)[1]):
                        return True
                    break
    elif ADD.match(text):  # x86 adds what lies in memory
        return any(is_product(body, i, n) for n in read)
    elif LOAD.match(text) and kept(body, text):
        for name in written:
            for j in around:  # who takes it
                out, taken = operands(body[j])
                if name in taken:
                    if ADDED.match(body[j]) and name in added(body[j]):
                        return True
                    if ADD.match(body[j]) and any(
                            is_product(body, j, n) for n in taken if n != name):
                        return True
                if name in out:
                    break
    return False


def is_product(body, i, name):
    """The register was last written, before body[i], by a multiplication."""
    for d in range(1, len(body)):
        text = body[(i - d) % len(body)]
        if name in operands(text)[0]:
            return bool(PRODUCT.match(text) or ADDED.match(text))
    return False


def function(name, code):
    room = [int(g, 0) for _, text in code for m in [ROOM.search(text)] if m
            for g in m.groups() if g]
    loops = []
    for first, last in innermost(code):
        body = [text for at, text in code if first <= at <= last]
        frame = [i for i, t in enumerate(body) if FRAME.search(t)]
        spills = sum(accumulates(body, i) for i in frame)
        loops.append(Loop(first, last, spills, len(frame) - spills,
                          sum(bool(MULTIPLY.match(t)) for t in body), len(body)))
    return Function(name, max(room, default=0), [l for l in loops if l.multiplies])


def read(path):
    """The functions of an object file."""
    text = subprocess.run([tool("llvm-objdump"), "-d", "--no-show-raw-insn",
                           "--no-leading-headers", path],
                          check=True, capture_output=True, text=True).stdout
    if "<unknown>" in text:
        sys.exit(f"{path}: llvm-objdump does not know all of its instructions")
    found, name, code = [], None, []
    for line in text.splitlines() + ["0 <>:"]:
        head = re.match(r"^[0-9a-f]+ <(.*)>:$", line)
        insn = re.match(r"^\s*([0-9a-f]+):\s+(.*)$", line)
        if head and not head[1].startswith((".L", "$")):
            if code:
                found.append(function(name, code))
            name, code = head[1], []
        elif insn and not head:
            text = re.sub(r"\.[wn]\b(?=\s)", "", insn[2].strip(), count=1)
            code.append((int(insn[1], 16), text.replace("\t", " ")))
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
