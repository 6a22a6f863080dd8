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
lib=$root/examples/firmware/board
. "$lib/board.sh"
rm -rf "$dir"
mkdir -p "$dir"

# This machine: inputs, and the interpreter's answer.
dnnc "$model" --name=model -o "$dir/model.o"
${CC:-cc} -I"$root/runtime" -I"$dir" "$here/host.c" "$dir/model.o" -lm \
  -o "$dir/host"
"$dir/host" inputs "$dir"
# shellcheck disable=SC2046
dnnc-run --interp "$model" $(cat "$dir/args") --output-dir="$dir" > "$dir/log"

linux() {
  target="--target=$1-unknown-linux-gnu${3:-}" qemu=$2 fpu=
}
on=linux size=
case $board in
rv32f) linux riscv32 qemu-riscv32 " -march=rv32imafc -mabi=ilp32f" ;;
aarch64) linux aarch64 qemu-aarch64 ;;
arm) linux armv7a qemu-arm; target=${target}eabihf ;;
riscv64) linux riscv64 qemu-riscv64 ;;
riscv64v*) bits=${board#riscv64v}
  linux riscv64 "qemu-riscv64 -cpu rv64,v=true,vlen=${bits:-128}"
  set -- -mattr=+m,+a,+f,+d,+c,+v "$@" ;;
x86v*) linux x86_64 "qemu-x86_64 -cpu max"
  set -- -mcpu=x86-64-v${board#x86v} "$@" ;;
host) linux x86_64 "" ;;
*) board "$board"
  on=board stack=65536
  [ $board != microbit ] || stack=7168 size=-DOUTPUT=1024 ;;
esac
if [ -n "${FLOAT:-}" ]; then
  [ $FLOAT != soft ] || fpu=
  set -- -mfloat-abi=$FLOAT "$@"
fi
mkdir -p "$dir/target"
# shellcheck disable=SC2086
[ $board = host ] || set -- $target "$@"
dnnc "$model" --name=model "$@" -o "$dir/target/model.o"
llvm-nm -u "$dir/target/model.o" | sed '/ mem\(cpy\|set\)$/d; s/^ *U /undefined /'
cc="clang $target ${FLOAT:+-mfloat-abi=$FLOAT}"
# Enumerations as GNU compilers have them on these machines.
case $target in *-eabi*) size="$size -fshort-enums" ;; esac
for file in "$here/target.c" "$lib/board.c"; do
  # shellcheck disable=SC2086
  $cc -O1 -ffreestanding -fno-builtin -I"$root/runtime" -I"$lib" \
    -I"$dir/target" -I"$dir" $size -c "$file" -o "$dir/$(basename "$file" .c).o"
done
if [ $on = linux ]; then
  case $board in aarch64 | arm) call=bl ;; *) call=call ;; esac
  start=$dir/start.s
  sed "s/START/$call start/" "$here/start_linux.s" > "$start"
fi
$cc $fpu -c "$start" -o "$dir/start.o"

# As GNU compilers for bare metal write objects: nothing about the stack.
case $target in *-eabi*)
  for o in start board target; do
    llvm-objcopy --remove-section=.note.GNU-stack "$dir/$o.o"
  done ;;
esac

for linker in ${LINKERS:-lld}; do
  case $linker-$target in
  lld-*) ld=ld.lld ;;
  gnu-*thumb*) ld="arm-none-eabi-ld --no-warn-rwx-segments" ;;
  gnu-*riscv32*ilp32f*) ld="riscv64-linux-gnu-ld -m elf32lriscv_ilp32f" ;;
  gnu-*riscv32*)
    ld="riscv64-linux-gnu-ld -m elf32lriscv_ilp32 --no-warn-rwx-segments" ;;
  gnu-*riscv64*) ld=riscv64-linux-gnu-ld ;;
  gnu-*aarch64*) ld=aarch64-linux-gnu-ld ;;
  gnu-*x86_64*) ld=ld ;;
  esac
  set -- "$dir/image.elf" --fatal-warnings "$dir/start.o" "$dir/board.o" \
    "$dir/target.o" "$dir/target/model.o"
  if [ $on = board ]; then
    board_link "$@"
  else
    # shellcheck disable=SC2086
    $ld -static -o "$@"
  fi
  # shellcheck disable=SC2086
  ${RUNNER:-} timeout 900 $qemu "$dir/image.elf" > "$dir/out" 2>&1 || true
  "$dir/host" check "$dir" < "$dir/out"
done
