"""cases.py CASES LIST DNNC-RUN: runs each folder of CASES as a test folder of
ONNX, optimised and not, and compares what becomes of it with LIST."""
import os
import subprocess
import sys

cases, listed, tool = sys.argv[1:]
expected = dict(line.split() for line in open(listed) if line[0] not in "#\n")
wrong = 0
for name in sorted(os.listdir(cases)):
    folder = os.path.join(cases, name)
    model = os.path.join(folder, "model.onnx")
    if not os.path.exists(model):
        continue
    want = expected.get(name, "pass")
    for mode in ["-O2"], ["-O0"], ["--interp"]:
        p = subprocess.run([tool, model, "--test-data", folder] + mode,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        code = p.returncode
        became = {0: "pass", 3: "refused"}.get(code, "exit %d" % code)
        if want == "open" and code in (0, 1, 3, 5):
            print("%s %s: open: %s" % (name, mode[0], became))
        elif became != want:
            wrong += 1
            print("%s %s: %s, not %s" % (name, mode[0], became, want))
            print(p.stdout.decode(errors="replace"))
print("%d not as listed" % wrong)
