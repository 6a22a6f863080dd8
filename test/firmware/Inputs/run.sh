#!/bin/sh
# run.sh BOARD MODEL DIR [dnnc options]: compiles MODEL for BOARD, runs it in
# QEMU and compares with the interpreter. DIR is scratch. Prints the stack it
# used and PASS or FAIL. No C library and no compiler's library is linked.
# $RUNNER, a command, goes before that of QEMU. $LINKERS, of "lld gnu", link in
# turn. $FLOAT is the float ABI of dnnc and of the program, which leaves the FPU off
# when it is soft; default: the triple's.
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

fpu= soft= flash= ram= stack=65536 size=
case $board in
m0)  triple=thumbv6m-none-eabi cpu=cortex-m0 flash=0 ram=0x20000000
     qemu="qemu-system-arm -M mps2-an385" ;;
microbit) triple=thumbv6m-none-eabi cpu=cortex-m0 flash=0 ram=0x20000000
     stack=7168 size=-DOUTPUT=1024 qemu="qemu-system-arm -M microbit" ;;
m3)  triple=thumbv7m-none-eabi cpu=cortex-m3 flash=0 ram=0x20000000
     qemu="qemu-system-arm -M mps2-an385" ;;
m4)  triple=thumbv7em-none-eabihf cpu=cortex-m4 flash=0 ram=0x20000000 fpu=1
     qemu="qemu-system-arm -M mps2-an386" ;;
m7)  triple=thumbv7em-none-eabihf cpu=cortex-m7 flash=0 ram=0x20000000 fpu=1
     qemu="qemu-system-arm -M mps2-an500" ;;
m33) triple=thumbv8m.main-none-eabihf cpu=cortex-m33 flash=0x10000000
     ram=0x38000000 fpu=1 qemu="qemu-system-arm -M mps2-an505" ;;
m55) triple=thumbv8.1m.main-none-eabihf cpu=cortex-m55 flash=0 ram=0x21000000
     fpu=1 qemu="qemu-system-arm -M mps3-an547" ;;
rv32) triple=riscv32-unknown-elf cpu= flash=0x80000000 ram=0x80400000
     soft="-march=rv32imac -mabi=ilp32"
     qemu="qemu-system-riscv32 -M virt -bios none" ;;
rv32imc) triple=riscv32-unknown-elf cpu= flash=0x80000000 ram=0x80400000
     soft="-march=rv32imc -mabi=ilp32"
     qemu="qemu-system-riscv32 -M virt -bios none"
     set -- $soft "$@" ;;
rv32f) triple=riscv32-unknown-linux-gnu cpu= qemu=qemu-riscv32
     soft="-march=rv32imafc -mabi=ilp32f"
     set -- $soft "$@" ;;
aarch64) triple=aarch64-unknown-linux-gnu cpu= qemu=qemu-aarch64 ;;
arm) triple=armv7a-unknown-linux-gnueabihf cpu= qemu=qemu-arm ;;
riscv64) triple=riscv64-unknown-linux-gnu cpu= qemu=qemu-riscv64 ;;
riscv64v*) triple=riscv64-unknown-linux-gnu cpu= bits=${board#riscv64v}
  qemu="qemu-riscv64 -cpu rv64,v=true,vlen=${bits:-128}"
  set -- -mattr=+m,+a,+f,+d,+c,+v "$@" ;;
x86v*) triple=x86_64-unknown-linux-gnu cpu= qemu="qemu-x86_64 -cpu max"
  set -- -mcpu=x86-64-v${board#x86v} "$@" ;;
host) triple=x86_64-unknown-linux-gnu cpu= qemu= ;;
*) echo "unknown board $board" >&2; exit 2 ;;
esac
if [ -n "${FLOAT:-}" ]; then
  [ $FLOAT != soft ] || fpu=
  set -- -mfloat-abi=$FLOAT "$@"
fi
mkdir -p "$dir/target"
[ $board = host ] || set -- --target=$triple "$@"
dnnc "$model" --name=model ${cpu:+-mcpu=$cpu} "$@" \
  -o "$dir/target/model.o"
llvm-nm -u "$dir/target/model.o" | sed '/ mem\(cpy\|set\)$/d; s/^ *U /undefined /'
cc="clang --target=$triple ${cpu:+-mcpu=$cpu} $soft ${FLOAT:+-mfloat-abi=$FLOAT}"
# Enumerations as GNU compilers have them on these machines.
case $triple in *-eabi*) size="$size -fshort-enums" ;; esac
# shellcheck disable=SC2086
$cc -O1 -ffreestanding -fno-builtin -I"$root/runtime" -I"$dir/target" -I"$dir" \
  $size -c "$here/target.c" -o "$dir/target.o"
case $board in
aarch64 | arm) start="bl start" ;;
riscv64* | rv32f | x86v* | host) start="call start" ;;
esac
if [ -n "$flash" ]; then
  case $triple in thumb*) s=start_arm.s ;; *) s=start_riscv32.s ;; esac
  $cc ${fpu:+-Wa,-defsym,FPU=1} -c "$root/examples/firmware/board/$s" -o "$dir/start.o"
  layout="-T $root/examples/firmware/board/board.ld --defsym=FLASH=$flash --defsym=RAM=$ram
          --defsym=STACK=$stack"
  qemu="$qemu -nographic -monitor none -serial none
        -semihosting-config enable=on,target=native -kernel"
else
  sed "s/START/$start/" "$here/start_linux.s" > "$dir/start.s"
  $cc -c "$dir/start.s" -o "$dir/start.o"
  layout=-static
fi

# As GNU compilers for bare metal write objects: nothing about the stack.
case $triple in *-eabi*)
  for o in start target; do
    llvm-objcopy --remove-section=.note.GNU-stack "$dir/$o.o"
  done ;;
esac

for linker in ${LINKERS:-lld}; do
  case $linker-$triple-$soft in
  lld-*) ld=ld.lld ;;
  gnu-thumb*) ld="arm-none-eabi-ld --no-warn-rwx-segments" ;;
  gnu-riscv32*ilp32f*) ld="riscv64-linux-gnu-ld -m elf32lriscv_ilp32f" ;;
  gnu-riscv32*)
    ld="riscv64-linux-gnu-ld -m elf32lriscv_ilp32 --no-warn-rwx-segments" ;;
  gnu-riscv64*) ld=riscv64-linux-gnu-ld ;;
  gnu-aarch64*) ld=aarch64-linux-gnu-ld ;;
  gnu-x86_64*) ld=ld ;;
  esac
  # shellcheck disable=SC2086
  $ld --fatal-warnings $layout "$dir/start.o" "$dir/target.o" \
    "$dir/target/model.o" -o "$dir/image.elf"
  # shellcheck disable=SC2086
  ${RUNNER:-} timeout 900 $qemu "$dir/image.elf" > "$dir/out" 2>&1 || true
  "$dir/host" check "$dir" < "$dir/out"
done
