"""Writes the texts of lex_hostile.test into a folder."""
import os
import sys

out = sys.argv[1]
os.makedirs(out, exist_ok=True)


def write(name, text):
    mode = "wb" if isinstance(text, bytes) else "w"
    with open(os.path.join(out, name), mode) as f:
        f.write(text)


big = "1" * 10**6
write("digits.dnn", "func @main(%x: f32[1]) {\n  %1 = reduce_sum %x {axes=["
      + big + "]}\n  return %x\n}\n")
write("float.dnn", "func @main(%x: f32[1]) {\n  %1 = clamp %x {lo=0."
      + big + "}\n  return %x\n}\n")
write("name.dnn", "func @" + "a" * 10**6 + "() { return }\n")
write("deep.dnn", "func @main(%c: bool[]) {\n"
      + "if %c do {\n" * 100000 + "}\n" * 100000 + "return\n}\n")
write("bytes.dnn", bytes(range(256)) * 4)
write("errors.dnn", "func @main(%x: f32[1]) {\n"
      + "  %1 = nothing %x\n" * 1000 + "return %x\n}\n")
write("stray.dnn", "%% ?? @@ ~~\n" * 10000)
write("empty.dnn", "")
params = ", ".join("%%p%d: f32[1]" % i for i in range(100000))
write("wide.dnn", "func @main(" + params + ") { return %p0 }\n")
