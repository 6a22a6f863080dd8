"""relus.py N: a model of N inputs and as many outputs."""
import sys

names = [str(i) for i in range(int(sys.argv[1]))]
print("func @main(%s) {" % ", ".join("%x" + i + ": f32[2]" for i in names))
for i in names:
    print("  %r" + i + " = relu %x" + i)
print("  return %s\n}" % ", ".join("%r" + i for i in names))
