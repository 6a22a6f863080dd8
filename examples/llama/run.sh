#!/bin/sh
# run.sh CHECKPOINT TOKENS FOLDER [options of dnnc]: converts, compiles, tells a story.
set -e
here=$(dirname "$0") checkpoint=$1 tokens=$2 to=$3
shift 3
mkdir -p "$to"
"${PYTHON:-python3}" "$here/convert.py" "$checkpoint" "$tokens" "$to"
"${DNNC:-dnnc}" "$to/llama.json" -o "$to/llama.o" "$@"
"${CC:-cc}" -O2 -I"$to" "$here/main.c" "$to/llama.o" -o "$to/llama"
"$to/llama"
