#!/bin/sh
# run.sh BOARD MODEL DIR [dnnc options]: compiles MODEL for BOARD, runs it in
# QEMU and compares with the interpreter. DIR is scratch. Prints the stack it
# used and PASS or FAIL. No C library and no compiler's library is linked.
# $RUNNER, a command, goes before that of QEMU.
set -eu
board=$1 model=$2 dir=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
rm -rf "$dir"
mkdir -p "$dir"

# This machine: inputs, and the interpreter's answer.
dnnc "$model" --name=model -o "$dir/model.o"
${CC:-cc} -I"$root/runtime" -I"$dir" "$here/host.c" "$dir/model.o" -lm \
  -o "$dir/host"
"$dir/host" inputs "$dir"
# shellcheck disable=SC2046
dnnc-run --interp "$model" $(cat "$dir/args") --output-dir="$dir" > "$dir/log"

fpu= soft= flash= ram=
case $board in
m0)  triple=thumbv6m-none-eabi cpu=cortex-m0 flash=0 ram=0x20000000
     qemu="qemu-system-arm -M mps2-an385" ;;
m3)  triple=thumbv7m-none-eabi cpu=cortex-m3 flash=0 ram=0x20000000
     qemu="qemu-system-arm -M mps2-an385" ;;
m4)  triple=thumbv7em-none-eabihf cpu=cortex-m4 flash=0 ram=0x20000000 fpu=1
     qemu="qemu-system-arm -M mps2-an386" ;;
m7)  triple=thumbv7em-none-eabihf cpu=cortex-m7 flash=0 ram=0x20000000 fpu=1
     qemu="qemu-system-arm -M mps2-an500" ;;
m55) triple=thumbv8.1m.main-none-eabihf cpu=cortex-m55 flash=0 ram=0x21000000
     fpu=1 qemu="qemu-system-arm -M mps3-an547" ;;
rv32) triple=riscv32-unknown-elf cpu= flash=0x80000000 ram=0x80400000
     soft="-march=rv32imac -mabi=ilp32"
     qemu="qemu-system-riscv32 -M virt -bios none" ;;
rv32f) triple=riscv32-unknown-linux-gnu cpu= qemu=qemu-riscv32
     soft="-march=rv32imafc -mabi=ilp32f"
     set -- -mattr=+m,+a,+f,+c -mabi=ilp32f "$@" ;;
aarch64) triple=aarch64-unknown-linux-gnu cpu= qemu=qemu-aarch64 ;;
riscv64) triple=riscv64-unknown-linux-gnu cpu= qemu=qemu-riscv64 ;;
riscv64v*) triple=riscv64-unknown-linux-gnu cpu= bits=${board#riscv64v}
  qemu="qemu-riscv64 -cpu rv64,v=true,vlen=${bits:-128}"
  set -- -mattr=+m,+a,+f,+d,+c,+v "$@" ;;
x86v*) triple=x86_64-unknown-linux-gnu cpu= qemu="qemu-x86_64 -cpu max"
  set -- -mcpu=x86-64-v${board#x86v} "$@" ;;
host) triple=x86_64-unknown-linux-gnu cpu= qemu= ;;
*) echo "unknown board $board" >&2; exit 2 ;;
esac
mkdir -p "$dir/target"
[ $board = host ] || set -- --target=$triple "$@"
dnnc "$model" --name=model ${cpu:+-mcpu=$cpu} "$@" \
  -o "$dir/target/model.o"
llvm-nm -u "$dir/target/model.o" | sed 's/^ *U /undefined /' | sort
cc="clang --target=$triple ${cpu:+-mcpu=$cpu} $soft"
$cc -O1 -ffreestanding -fno-builtin -I"$root/runtime" -I"$dir/target" -I"$dir" \
  -c "$here/target.c" -o "$dir/target.o"
case $board in
aarch64) start="bl start" ;;
riscv64* | rv32f | x86v* | host) start="call start" ;;
esac
if [ -n "$flash" ]; then
  case $triple in thumb*) s=start_arm.s ;; *) s=start_riscv32.s ;; esac
  $cc ${fpu:+-Wa,-defsym,FPU=1} -c "$here/$s" -o "$dir/start.o"
  ld.lld -T "$here/board.ld" --defsym=FLASH=$flash --defsym=RAM=$ram \
    "$dir/start.o" "$dir/target.o" "$dir/target/model.o" -o "$dir/image.elf"
  # shellcheck disable=SC2086
  ${RUNNER:-} timeout 60 $qemu -nographic -monitor none -serial none \
    -semihosting-config enable=on,target=native -kernel "$dir/image.elf" \
    > "$dir/out" 2>&1 || true
else
  sed "s/START/$start/" "$here/start_linux.s" > "$dir/start.s"
  $cc -c "$dir/start.s" -o "$dir/start.o"
  ld.lld -static "$dir/start.o" "$dir/target.o" "$dir/target/model.o" \
    -o "$dir/image.elf"
  # shellcheck disable=SC2086
  ${RUNNER:-} timeout 60 $qemu "$dir/image.elf" > "$dir/out" 2>&1 || true
fi
"$dir/host" check "$dir" < "$dir/out"
