"""large.py chain DIR: a chain of 10,000 nodes.
large.py weights DIR: 100 MB of weights.
large.py memory LIMIT COMMAND...: runs a command, and fails when it or one of
its children took more than LIMIT MB."""
import resource
import subprocess
import sys

if sys.argv[1] == "memory":
    code = subprocess.call(sys.argv[3:])
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print("%d MB" % used)
    sys.exit(code or used > int(sys.argv[2]))

folder = sys.argv[2]
if sys.argv[1] == "chain":
    with open(folder + "/chain.dnn", "w") as f:
        f.write("const @w : f32[16,16] = splat 0.1\n")
        f.write("func @main(%x0: f32[1,16]) -> (f32[1,16]) {\n")
        for i in range(10000):
            f.write("  %%x%d = %s : f32[1,16]\n" % (
                i + 1, ("relu %%x%d" if i % 2 else "matmul %%x%d, @w") % i))
        f.write("  return %x10000\n}\n")
else:
    with open(folder + "/w.bin", "wb") as f:
        f.write(bytes(range(1, 61)) * (25 * 4000 * 1000 // 60 + 1))
    with open(folder + "/large.dnn", "w") as f:
        f.write('''const @w : f32[5000,5000] = file "w.bin" +0
func @main(%x: f32[1,5000]) -> (f32[1,5000]) {
  %y = matmul %x, @w : f32[1,5000]
  return %y
}
''')
