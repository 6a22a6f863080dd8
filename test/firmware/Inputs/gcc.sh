#!/bin/sh
# gcc.sh DIR: links an object for every core and float ABI into programs that
# arm-none-eabi-gcc compiles, of every float ABI too, with fatal warnings.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
rm -rf "$1"
mkdir -p "$1"
cd "$1"
cat > main.c <<'EOF'
#include "model.h"
enum colour { RED, GREEN };
float scale(enum colour c, float a);
float scale(enum colour c, float a) { return c == RED ? a : 2 * a; }
static float x[1][12][12][1], p[1][8];
static int64_t i[1][8];
static double d[1][8];
static unsigned char arena[MODEL_ARENA_SIZE + 1];
int main(void) { return model_run(x, p, i, d, arena) + (int)scale(GREEN, p[0][0]); }
void *memcpy(void *to, const void *from, size_t n) { (void)from; (void)n; return to; }
void *memset(void *to, int v, size_t n) { (void)v; (void)n; return to; }
EOF
for core in cortex-m0/soft cortex-m3/soft cortex-m4/soft/softfp/hard \
            cortex-m7/soft/softfp/hard cortex-m33/soft/softfp/hard \
            cortex-m55/soft/softfp/hard; do
  cpu=${core%%/*}
  abis=$(echo "${core#*/}" | tr / ' ')
  for object in $abis; do
    dnnc "$here/cnn.dnn" --name=model --target=arm-none-eabi -mcpu="$cpu" \
      -mfloat-abi="$object" -o model.o
    for program in $abis; do
      arm-none-eabi-gcc -mthumb -mcpu="$cpu" -mfloat-abi="$program" -O1 -Wall \
        -Wextra -Wpedantic -Werror -ffreestanding main.c model.o -nostartfiles \
        -Wl,-e,main,--fatal-warnings,--no-warn-rwx-segments -o a.elf
    done
  done
done
