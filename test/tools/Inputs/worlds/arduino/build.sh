# build.sh LIBRARY OUTPUT "COMPILER ..." [FLAG...]: the sketch selftest of a precompiled
# library in C++11 to C++17, and its C file, into OUTPUT.
set -e
library=$1 output=$2 compiler=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
(echo '#include <Arduino.h>'; cat "$library"/examples/selftest/*.ino) > "$output.cpp"
compile() { # FLAGS FILE OBJECT
  # shellcheck disable=SC2086
  $compiler "$@" $flags -Wall -Wextra -Werror -I"$here" -I"$library/src"
}
link=
flags=
math=-lm
for flag; do
  case $flag in
  -nostdlib) link="$link $flag" math= ;;
  -r | -fuse-ld=*) link="$link $flag" ;;
  *) flags="$flags $flag" ;;
  esac
done
for std in gnu++11 gnu++14 gnu++17; do
  compile -std=$std -c "$output.cpp" -o "$output.sketch.o"
done
compile -x c -std=gnu11 -c "$library"/src/*_selftest.c -o "$output.c.o"
name=$(sed -n 's/^ldflags=//p' "$library/library.properties")
# shellcheck disable=SC2086
$compiler $flags $link "$output.sketch.o" "$output.c.o" -L"$(dirname "$library"/src/*/*.a)" \
  "$name" $math -o "$output"
