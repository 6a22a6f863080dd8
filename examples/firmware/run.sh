#!/bin/sh
# run.sh EXAMPLE BOARD DIR - compiles digits, anomaly or keyword for m4, m55 or rv32
# and runs it in QEMU, from the reset vector on. DIR is scratch. $DNNC_DATA has the
# keyword network and its spectrograms: default ../shared/data.
set -eu
example=$1 dir=$3
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
lib=$here/board
. "$lib/board.sh"
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
board "$2"

for file in $files; do cp "$file" "$dir"; done
cd "$dir"
# shellcheck disable=SC2086
dnnc "$model" --name="$example" $target -o net.o
mv net.h "$example.h"
# shellcheck disable=SC2086
clang $target $fpu -c "$start" -o start.o
# shellcheck disable=SC2086
clang $target -O2 -ffreestanding -fno-builtin -I. -I"$lib" \
  -c "$here/$example/main.c" "$lib/board.c"
board_link "$example.elf" main.o board.o start.o net.o
$qemu "$example.elf" 2>&1
