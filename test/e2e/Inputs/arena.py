"""Arenas of given networks on a Cortex-M4: arena.py DATA SCRATCH."""
import re
import subprocess
import sys

data, scratch = sys.argv[1:]
TINY = "mlperf-tiny/models/"
for path, whole, flags in [
        (TINY + "kws_ref_model.tflite", 16000, []),
        (TINY + "kws_ref_model_float32.tflite", 64000, []),
        (TINY + "pretrainedResnet_quant.tflite", 49152, []),
        (TINY + "vww_96_int8.tflite", 55296, []),
        ("onnx-models/micro_kws/micro_kws_m_static_fp32.onnx", 156160, ["--max-ram=68500"])]:
    subprocess.run(["dnnc", f"{data}/{path}", "--name=net", "-mcpu=cortex-m4", *flags,
                    "--target=thumbv7em-none-eabihf", "-o", f"{scratch}.o"], check=True)
    header = open(f"{scratch}.h").read()
    size = int(re.search(r"NET_ARENA_SIZE (\d+)", header).group(1))
    assert size <= 0.7 * whole
    name = path.split("/")[-1]
    print(name, "in blocks of rows: fits" if flags and size <= 60000 else f"{size} of {whole}")
