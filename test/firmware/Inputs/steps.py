"""Instructions of a call of each network of a program on Cortex-M4, under QEMU.
Arguments: the program, then `network calls` pairs."""
import importlib.machinery
import importlib.util
import subprocess
import sys
from pathlib import Path

path = Path(__file__).resolve().parents[3] / "utils/bench/count"
sys.path.insert(0, str(path.parent))
loader = importlib.machinery.SourceFileLoader("count", str(path))
count = importlib.util.module_from_spec(importlib.util.spec_from_loader("count", loader))
loader.exec_module(count)
count.build_plugin()
program = sys.argv[1]
for name, calls in zip(sys.argv[2::2], map(int, sys.argv[3::2])):
    code = count.code_of(program, (name + ".k", name + "_run"))
    run = subprocess.run(["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-monitor",
                          "none", "-serial", "none", "-semihosting-config",
                          "enable=on,target=native", "-plugin",
                          f"{count.OUT}/count.so,{code}", "-kernel", program],
                         check=True, capture_output=True, text=True)
    [found] = [l for l in (run.stdout + run.stderr).splitlines() if l.startswith("instructions")]
    print(name, int(found.split()[1]) // calls)
