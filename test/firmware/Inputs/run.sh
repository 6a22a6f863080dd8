#!/bin/sh
# run.sh BOARD MODEL DIR [dnnc options]: compiles MODEL for BOARD of utils/emulate,
# runs it in QEMU and compares with the interpreter. DIR is scratch. Prints the stack
# it used and PASS or FAIL. $LINKERS, of "lld gnu", link in turn; of $SHIFTS calls,
# from stacks 8 bytes apart, the one that uses most counts.
set -eu
board=$1 model=$2 dir=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
rm -rf "$dir"
mkdir -p "$dir/target"

# This machine: inputs, and the interpreter's answer.
dnnc "$model" --name=model -o "$dir/model.o"
${CC:-cc} -I"$root/runtime" -I"$dir" "$here/host.c" "$dir/model.o" -lm \
  -o "$dir/host"
"$dir/host" inputs "$dir"
# shellcheck disable=SC2046
dnnc-run --interp "$model" $(cat "$dir/args") --output-dir="$dir" > "$dir/log"

# shellcheck disable=SC2046
dnnc "$model" --name=model $("$root/utils/emulate" "$board") "$@" \
  -o "$dir/target/model.o"
echo "#define SHIFTS ${SHIFTS:-1}" >> "$dir/target/model.h"
llvm-nm -u "$dir/target/model.o" | sed '/ mem\(cpy\|set\)$/d; s/^ *U /undefined /'
mv "$dir/input.inc" "$dir/target"
for linker in ${LINKERS:-lld}; do
  LINKER=$linker "$root/utils/emulate" "$board" "$dir/target" > "$dir/out"
  "$dir/host" check "$dir" < "$dir/out"
done
