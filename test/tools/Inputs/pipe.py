"""pipe.py COMMAND...: runs it with a standard output that has no reader."""
import os
import subprocess
import sys

read, write = os.pipe()
os.close(read)
code = subprocess.run(sys.argv[1:], stdout=write,
                      stderr=subprocess.DEVNULL).returncode
print(code)
sys.exit(code != 2)
