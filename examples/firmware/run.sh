#!/bin/sh
# run.sh EXAMPLE BOARD DIR - compiles digits, anomaly or keyword for m4, m55 or rv32
# and runs it in QEMU, from the reset vector on. DIR is scratch. $DNNC_DATA has the
# keyword network and its spectrograms: default ../shared/data.
set -eu
example=$1 board=$2 dir=$3
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
data=${DNNC_DATA:-$root/../shared/data}/mlperf-tiny
mkdir -p "$dir"

case $example in
digits) model=$root/examples/digits/digits.onnx
        files="$root/examples/digits/digits.npy $root/examples/digits/labels.npy" ;;
anomaly) python3 "$here/anomaly/make.py" "$dir"
         model=$dir/anomaly.dnn files= ;;
keyword) model=$data/models/kws_ref_model.tflite
         files="$data/kws01_inputs_i8.npy $data/kws01_labels.npy
                $data/kws01_ref_outputs_i8.npy"
         [ -e "$model" ] || { echo "keyword: no $model"; exit 77; } ;;
*) echo "no example $example" >&2; exit 2 ;;
esac
case $board in
m4)   target="--target=thumbv7em-none-eabihf -mcpu=cortex-m4"
      flash=0 ram=0x20000000 start=start_arm.s fpu=-Wa,-defsym,FPU=1
      qemu="qemu-system-arm -M mps2-an386" ;;
m55)  target="--target=thumbv8.1m.main-none-eabihf -mcpu=cortex-m55"
      flash=0 ram=0x21000000 start=start_arm.s fpu=-Wa,-defsym,FPU=1
      qemu="qemu-system-arm -M mps3-an547" ;;
rv32) target="--target=riscv32-unknown-elf -march=rv32imac -mabi=ilp32"
      flash=0x80000000 ram=0x80400000 start=start_riscv32.s fpu=
      qemu="qemu-system-riscv32 -M virt -bios none" ;;
*) echo "no board $board" >&2; exit 2 ;;
esac

for file in $files; do cp "$file" "$dir"; done
cd "$dir"
# shellcheck disable=SC2086
dnnc "$model" --name="$example" $target -o net.o
mv net.h "$example.h"
# shellcheck disable=SC2086
clang $target $fpu -c "$here/board/$start" -o start.o
# shellcheck disable=SC2086
clang $target -O2 -ffreestanding -fno-builtin -I. -I"$here/board" \
  -c "$here/$example/main.c" "$here/board/board.c"
ld.lld -T "$here/board/board.ld" --defsym=FLASH=$flash --defsym=RAM=$ram \
  --defsym=STACK=8192 main.o board.o start.o net.o -o "$example.elf"
$qemu -nographic -monitor none -serial none \
  -semihosting-config enable=on,target=native -kernel "$example.elf" 2>&1
