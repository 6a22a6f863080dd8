"""readme.py README.md DIGITS.onnx FOLDER: the README's first session, in FOLDER: the
file that it shows with `cat` is made, its commands run, and what it prints must come
out, but for what is the processor's: its name, the bytes of code and stack."""
import os
import re
import shutil
import subprocess
import sys

page, model, folder = sys.argv[1:]
shutil.rmtree(folder, ignore_errors=True)
os.makedirs(folder)
shutil.copy(model, folder)
block = re.search(r"```console\n(.*?)```", open(page).read(), re.S)[1]
failed = 0
for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
    command, _, shown = part.partition("\n")
    if command.startswith("cat "):
        with open(os.path.join(folder, command[4:]), "w") as f:
            f.write(shown)
        continue
    run = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True)
    got = iter([l.rstrip() for l in run.stdout.splitlines()])
    for line in shown.splitlines():
        if re.match(r"\s*(target|flash|stack|RAM) |\.\.\.$", line):
            continue
        if line.rstrip() not in got:  # in this order
            print("%s: does not print:\n%s" % (command, line))
            failed += 1
            break
    if run.returncode:
        print("%s: exit code %d\n%s" % (command, run.returncode, run.stderr))
        failed += 1
print("%d failures" % failed)
