"""Compiles each header of the project by itself; one without an include guard is
a template, to be included several times."""
import glob
import os
import re
import subprocess
import sys

source, cc = sys.argv[1:3]
llvm = subprocess.run(["llvm-config", "--includedir"], capture_output=True,
                      text=True).stdout.strip()
bad = 0
for folder in ["ir", "frontend", "passes", "codegen", "tools", "runtime"]:
    for path in sorted(glob.glob(os.path.join(source, folder, "**/*.h"),
                                 recursive=True)):
        if not re.search(r"^#define \w+_H$", open(path).read(), re.M):
            continue
        text = '#include "%s"\nint only_a_header;\n' % path
        command = [cc, "-std=gnu17", "-fsyntax-only", "-I", source, "-x", "c",
                   "-"]
        if llvm:
            command[1:1] = ["-isystem", llvm]
        run = subprocess.run(command, input=text, capture_output=True,
                             text=True)
        if run.returncode:
            bad += 1
            print(os.path.relpath(path, source), run.stderr)
sys.exit(bad != 0)
