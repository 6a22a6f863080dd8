#!/bin/sh
# models.sh DIR: runs the networks under DIR; one line a set of test data, and
# one a comparison with the interpreter.
cd "$1" || exit 1
run() { dnnc-run "$@" 2>&1 | head -3; }
for m in dtln/model_1 gtcrn/gtcrn_simple magika/standard_v3_3 \
  micro_kws/micro_kws_m_static_fp32 micro_kws/micro_kws_m_static_qoperator \
  onnx2c_mnist_pytorch onnxmlir_mnist silero_vad/silero_vad \
  silero_vad/silero_vad_op18_ifless tiny_random_gpt2/past \
  ultraface/version-RFB-320_simplified; do
  run -O0 $m.onnx --test-data=$m.ref
  run -O2 $m.onnx --test-data=$m.ref
done
for m in mnist_8 super_resolution_10; do
  run -O0 $m/model.onnx --test-data=$m
  run -O2 $m/model.onnx --test-data=$m
done
for m in onnxmlir_mnist.onnx mnist_8/model.onnx vww_96_float.onnx \
  micro_kws/micro_kws_m_static_fp32.onnx; do
  run -O2 $m --random=1 --compare=interp
done
run -O2 onnx2c_tfl_helloworld.onnx --dim N=1 --random=1 --compare=interp
