#!/bin/sh
# apart.sh BOARD DIR - runs apart.c on a board of board.sh.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
lib=$here/../../../examples/firmware/board
. "$lib/board.sh"
board "$1"
rm -rf "$2" && mkdir -p "$2" && cd "$2"
dnnc "$here/mlp.json" --name=net $target --freestanding --checked --zeroize \
  --weights=net.bin -o net.o
clang $target $fpu -c "$start" -o start.o
clang $target -O1 -ffreestanding -fno-builtin -I. -I"$lib" \
  -c "$here/apart.c" "$lib/board.c"
board_link a.elf apart.o board.o start.o net.o
$qemu a.elf 2>&1
