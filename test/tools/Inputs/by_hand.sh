# by_hand.sh CC SOURCE: a program with threads, and a plug-in, by pkg-config alone.
set -e
pkg-config --modversion dnnc
dnnc=$(pkg-config --variable=dnnc dnnc)
$dnnc "$2/test/tools/Inputs/package/wide.dnn" --name=wide_net --threads=2 -o wide_net.o
$dnnc "$2/test/tools/Inputs/package/free.json" --name=free --dim batch=2 -o free.o
cp "$2"/test/tools/Inputs/package/*.c .
$1 main.c nets.c wide_net.o free.o $(pkg-config --cflags --libs dnnc) -o by_hand
./by_hand
$1 -shared -fPIC $(pkg-config --cflags dnnc) "$2/examples/plugin/sub_to_add.c" -o by_hand.so
"${dnnc%/*}/dnnc-opt" "$2/test/passes/plugin.dnn" --load-pass=./by_hand.so --passes=sub_to_add > by_hand.dnn
grep -q neg by_hand.dnn
