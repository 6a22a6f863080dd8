#!/bin/sh
# run.sh EXAMPLE BOARD DIR - compiles an example for m4, m55 or rv32 and runs it in
# QEMU, from the reset vector on. DIR is scratch. $DNNC_DATA has the networks of
# keyword, person and wakeword: default ../shared/data.
set -eu
example=$1 dir=$3
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
lib=$here/board
. "$lib/board.sh"
data=${DNNC_DATA:-$root/../shared/data}
tiny=$data/mlperf-tiny options=
mkdir -p "$dir"

case $example in
digits) model=$root/examples/digits/digits.onnx
        files="$root/examples/digits/digits.npy $root/examples/digits/labels.npy" ;;
anomaly) python3 "$here/anomaly/make.py" "$dir"
         model=$dir/anomaly.dnn files= ;;
soil) python3 "$here/soil/make.py" "$dir"
      model=$dir/soil.dnn files= ;;
keyword) model=$tiny/models/kws_ref_model.tflite
         files="$tiny/kws01_inputs_i8.npy $tiny/kws01_labels.npy
                $tiny/kws01_ref_outputs_i8.npy" ;;
person) model=$data/mlonmcu/person_detect/person_detect.tflite
        files="$data/mlonmcu/person_detect/input/0.bin
               $data/mlonmcu/person_detect/input/1.bin" ;;
wakeword) model=$tiny/models/str_ww_ref_model.tflite
          files= options="--stream axis=1" ;;
*) echo "no example $example" >&2; exit 2 ;;
esac
[ -e "$model" ] || { echo "$example: no $model"; exit 77; }
board "$2"

for file in $files; do cp "$file" "$dir"; done
cd "$dir"
# shellcheck disable=SC2086
dnnc "$model" --name="$example" $target $options -o net.o
mv net.h "$example.h"
more=
if [ "$example" = wakeword ]; then
  python3 "$here/wakeword/make.py" . "$tiny"
  # shellcheck disable=SC2086
  dnnc "$model" --name=window $target -o window.o
  more=window.o
fi
# shellcheck disable=SC2086
clang $target $fpu -c "$start" -o start.o
# shellcheck disable=SC2086
clang $target -O2 -ffreestanding -fno-builtin -I. -I"$lib" \
  -c "$here/$example/main.c" "$lib/board.c"
board_link "$example.elf" main.o board.o start.o net.o $more
$qemu "$example.elf" 2>&1
