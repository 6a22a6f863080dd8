#!/bin/sh
# apart.sh BOARD DIR - runs apart.c on m0, m4, m55 or rv32 in QEMU.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
board=$here/../../../examples/firmware/board
start=start_arm.s flash=0 ram=0x20000000 fpu=-Wa,-defsym,FPU=1
case $1 in
m0) target="--target=thumbv6m-none-eabi -mcpu=cortex-m0" fpu=
    qemu="qemu-system-arm -M mps2-an385" ;;
m4) target="--target=thumbv7em-none-eabihf -mcpu=cortex-m4"
    qemu="qemu-system-arm -M mps2-an386" ;;
m55) target="--target=thumbv8.1m.main-none-eabihf -mcpu=cortex-m55" ram=0x21000000
    qemu="qemu-system-arm -M mps3-an547" ;;
rv32) target="--target=riscv32-unknown-elf -march=rv32imac -mabi=ilp32" fpu=
    start=start_riscv32.s flash=0x80000000 ram=0x80400000
    qemu="qemu-system-riscv32 -M virt -bios none" ;;
esac
rm -rf "$2" && mkdir -p "$2" && cd "$2"
dnnc "$here/mlp.json" --name=net $target --freestanding --checked --zeroize \
  --weights=net.bin -o net.o
clang $target $fpu -c "$board/$start" -o start.o
clang $target -O1 -ffreestanding -fno-builtin -I. -I"$board" \
  -c "$here/apart.c" "$board/board.c"
ld.lld -T "$board/board.ld" --defsym=FLASH=$flash --defsym=RAM=$ram \
  --defsym=STACK=8192 apart.o board.o start.o net.o -o a.elf
$qemu -nographic -monitor none -serial none \
  -semihosting-config enable=on,target=native -kernel a.elf 2>&1
