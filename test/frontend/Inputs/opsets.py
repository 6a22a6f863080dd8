"""opsets.py PAGE ONNXGEN FOLDER: the opsets that the page says dnnc reads, and no
others, are read."""
import os
import re
import subprocess
import sys

page, generator, folder = sys.argv[1:]
first, last = map(int, re.search(r"reads ONNX files of opset (\d+) to (\d+)",
                                 open(page).read()).groups())
os.makedirs(folder, exist_ok=True)
text, model = os.path.join(folder, "opset.test"), os.path.join(folder, "opset.onnx")
for opset in range(first - 1, last + 2):
    with open(text, "w") as f:
        f.write("#m|opset %d\n#m|in x: f32[2]\n#m|y = Relu(x)\n#m|out y: f32[2]\n" % opset)
    subprocess.run([sys.executable, generator, text, model, "m"], check=True)
    run = subprocess.run(["dnnc", model, "-o", os.path.join(folder, "opset.o")],
                         capture_output=True, text=True)
    want = (0, "") if first <= opset <= last else (1, "[E0302]")
    if run.returncode != want[0] or want[1] not in run.stderr:
        sys.exit("opset %d: exit code %d\n%s" % (opset, run.returncode, run.stderr))
print("opset %d to %d" % (first, last))
