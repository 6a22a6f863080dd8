"""abi.py MODEL: objects of dnnc and of clang with the same options say the same
of the processor and of the ABI. Rows: options, or with "dnnc: ... clang: ..."
for each where dnnc chooses a family's usual CPU."""
import re
import subprocess
import sys
import tempfile

ROWS = """
--target=thumbv6m-none-eabi
--target=armv6m-none-eabi
--target=thumbv7m-none-eabi
--target=armv7em-none-eabi
--target=thumbv7em-none-eabi
--target=thumbv7em-none-eabihf
--target=armv7em-none-eabihf
--target=thumbv7em-none-eabi -mcpu=cortex-m4
--target=thumbv7em-none-eabi -mcpu=cortex-m7 -mfloat-abi=softfp
--target=thumbv7em-none-eabi -mcpu=cortex-m7 -mfloat-abi=hard
--target=thumbv7em-none-eabihf -mcpu=cortex-m7 -mfloat-abi=soft
--target=thumbv7em-none-eabihf -mcpu=cortex-m7 -mfpu=fpv5-sp-d16
--target=thumbv7em-none-eabihf -mfpu=fpv4-sp-d16
--target=arm-none-eabi -mcpu=cortex-m0
--target=arm-none-eabi -mcpu=cortex-m4
--target=arm-none-eabi -mcpu=cortex-m4 -mfloat-abi=hard
--target=arm-none-eabi -mcpu=cortex-m33 -mfloat-abi=softfp
--target=arm-none-eabi -mcpu=cortex-m55 -mfloat-abi=hard
--target=arm-none-eabi -mcpu=cortex-m55
--target=thumbv6m-none-eabi -mcpu=cortex-m4
--target=thumb-none-eabi -mcpu=cortex-m33
--target=thumbv8m.base-none-eabi -mcpu=cortex-m23
--target=thumbv8m.main-none-eabihf -mcpu=cortex-m33
--target=arm-none-eabi -march=armv6-m
--target=arm-none-eabi -march=armv7-m
--target=arm-none-eabi -march=armv8-m.main
--target=arm-none-eabi -march=armv8-m.main+dsp+fp.dp -mfloat-abi=hard
--target=arm-none-eabi -march=armv8.1-m.main+mve.fp -mfloat-abi=hard
--target=arm-none-eabi -march=armv7-a -mfpu=neon-vfpv4 -mfloat-abi=softfp
--target=armv7a-none-eabi
--target=armv7a-linux-gnueabihf -mfpu=neon
--target=arm-linux-gnueabihf -mfpu=vfpv3-d16
--target=arm-linux-gnueabihf -mcpu=cortex-a7
--target=armv8a-linux-gnueabihf -mfpu=neon-fp-armv8
--target=riscv32-unknown-elf
--target=riscv64-unknown-elf
--target=riscv32-unknown-linux-gnu
--target=riscv64-unknown-linux-gnu
--target=riscv32-unknown-elf -march=rv32imc
--target=riscv32-unknown-elf -march=rv32imafc
--target=riscv32-unknown-elf -march=rv32imafc -mabi=ilp32
--target=riscv32-unknown-elf -march=rv32imafc -mabi=ilp32f
--target=riscv32-unknown-elf -march=rv32imac_zba_zbb
--target=riscv32-unknown-elf -march=rv64gc
--target=riscv64-unknown-elf -march=rv64imac
--target=riscv64-unknown-elf -mabi=lp64d
--target=riscv64-unknown-elf -march=rv64gcv_zba1p0_zvl256b
--target=riscv64-linux-gnu -march=rv64gcv -mabi=lp64d
--target=riscv32 -mcpu=sifive-e31
"""
# What only the code decides (alignment, which float operations) and what an
# object of dnnc holds open: the float ABI, wchar_t and enum.
TAGS = """CPU_arch CPU_arch_profile ARM_ISA_use THUMB_ISA_use FP_arch MVE_arch
Advanced_SIMD_arch DSP_extension FP_HP_extension arch""".split()


def say(command):
    return subprocess.run(command, check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def facts(path):
    text = say(["llvm-readelf", "-h", "-A", path])
    out = {"flags": re.search(r"Flags:\s+(.*)", text).group(1),
           "class": re.search(r"Class:\s+(.*)", text).group(1)}
    for block in text.split("Attribute {")[1:]:
        name = re.search(r"TagName: (\S+)", block)
        if name and name.group(1) in TAGS:
            out[name.group(1)] = re.search(r"Value: (.*)", block).group(1)
    return out


failed = 0
with tempfile.TemporaryDirectory() as folder:
    source = folder + "/a.c"
    with open(source, "w") as f:
        f.write("int f(void *p) { return p == 0; }\n")
    for row in ROWS.split("\n"):
        if not row:
            continue
        words = row.split()
        say(["clang", "-w", "-O1", *words, "-c", source, "-o", folder + "/c.o"])
        say(["dnnc", sys.argv[1], *words, "-o", folder + "/d.o"])
        clang, dnnc = facts(folder + "/c.o"), facts(folder + "/d.o")
        for k in sorted(set(clang) | set(dnnc)):
            if clang.get(k) != dnnc.get(k):
                print(f"{row}: {k}: clang {clang.get(k)}, dnnc {dnnc.get(k)}")
                failed = 1
sys.exit(failed)
