"""build_object.py FOLDER: how the build of a CMake project calls dnnc."""
import glob
import re
import sys

for name in glob.glob(sys.argv[1] + "/**/build.make", recursive=True) + glob.glob(sys.argv[1] + "/build.ninja"):
    for line in open(name):
        if re.search(r"/dnnc\b.* -o ", line):
            print(line.strip())
