"""Runs the trained networks of the data folder: real_models.py DIR."""
import subprocess
import sys
from pathlib import Path

models = Path(sys.argv[1])
REFERENCES = {  # model: the folder of its reference outputs
    "mnist_8/model.onnx": "mnist_8",
    "super_resolution_10/model.onnx": "super_resolution_10",
    "onnx2c_mnist_pytorch.onnx": "onnx2c_mnist_pytorch.ref",
    "onnxmlir_mnist.onnx": "onnxmlir_mnist.ref",
    "magika/standard_v3_3.onnx": "magika/standard_v3_3.ref",
    "micro_kws/micro_kws_m_static_fp32.onnx": "micro_kws/micro_kws_m_static_fp32.ref",
    "micro_kws/micro_kws_m_static_qoperator.onnx": "micro_kws/micro_kws_m_static_qoperator.ref",
    "dtln/model_1.onnx": "dtln/model_1.ref",
    "gtcrn/gtcrn_simple.onnx": "gtcrn/gtcrn_simple.ref",
    "silero_vad/silero_vad.onnx": "silero_vad/silero_vad.ref",
    "silero_vad/silero_vad_op18_ifless.onnx": "silero_vad/silero_vad_op18_ifless.ref",
    "tiny_random_gpt2/past.onnx": "tiny_random_gpt2/past.ref",
}
NO_REFERENCES = {  # model: flags; compared with the interpreter only
    "vww_96_float.onnx": [],
    "ultraface/version-RFB-320.onnx": [],
    "onnx2c_tfl_helloworld.onnx": ["--dim", "N=1"],
}
failed = 0


def run(*args):
    global failed
    p = subprocess.run(["dnnc-run", *map(str, args)], capture_output=True, text=True)
    if p.returncode or "PASS" not in p.stdout:
        failed += 1
        print("FAIL", *args, p.returncode, p.stdout[-500:], p.stderr[-500:])


for model, folder in REFERENCES.items():
    for level in ("-O0", "-O2"):
        run(models / model, level, "--test-data", models / folder)
for model, flags in NO_REFERENCES.items():
    for level in ("-O0", "-O2"):
        run(models / model, level, "--compare=interp", *flags)
for model in ("mnist_8/model.onnx", "onnx2c_mnist_pytorch.onnx", "onnxmlir_mnist.onnx"):
    run(models / model, "-O2", "--compare=interp", "--verify-each")
print(failed, "failed")
