"""onnxall.py TEST FOLDER [OPTION...]: makes every model of TEST (onnxgen.py) that
states its results, and lets dnnc-run compare: compiled, and interpreted."""
import os
import re
import subprocess
import sys

test, folder, *options = sys.argv[1:]
generator = os.path.join(os.path.dirname(os.path.abspath(__file__)), "onnxgen.py")
os.makedirs(folder, exist_ok=True)
failed = 0
names = dict.fromkeys(re.findall(r"^#(\w+)\|", open(test).read(), re.M))
for name in names:
    model, data = (os.path.join(folder, name + end) for end in (".onnx", ".set"))
    subprocess.run([sys.executable, generator, test, model, name, data], check=True)
    for how in [], ["--interp"]:
        run = subprocess.run(["dnnc-run", model, "--test-data", data, *how, *options],
                             capture_output=True, text=True)
        if run.returncode:
            print(name, *how, run.stdout, run.stderr)
            failed += 1
print("%d models, %d failures" % (len(names), failed))
