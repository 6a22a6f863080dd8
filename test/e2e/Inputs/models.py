"""models.py DATA: runs real networks on their reference data, each as it is
compiled (-O0 and -O2) and compared with the interpreter value by value. A line a
run; the last one counts. (super_resolution_10 has a test of its own.)"""
import os
import subprocess
import sys

MODELS = {  # model: (folder of sets or None, sets, options)
    "mnist_8/model": ("mnist_8", 3, []),
    "onnx2c_mnist_pytorch": ("onnx2c_mnist_pytorch.ref", 2, []),
    "onnx2c_tfl_helloworld": (None, 0, ["--dim", "N=3"]),
    "onnxmlir_mnist": ("onnxmlir_mnist.ref", 2, []),
    "dtln/model_1": ("dtln/model_1.ref", 2, []),
    "magika/standard_v3_3": ("magika/standard_v3_3.ref", 2, []),
    "micro_kws/micro_kws_m_static_fp32":
        ("micro_kws/micro_kws_m_static_fp32.ref", 2, []),
    "micro_kws/micro_kws_m_static_qoperator":
        ("micro_kws/micro_kws_m_static_qoperator.ref", 2, []),
    "ultraface/version-RFB-320_simplified":
        ("ultraface/version-RFB-320_simplified.ref", 2, []),
    "ultraface/version-RFB-320": (None, 0, []),
    "ultraface/version-RFB-320_without_postprocessing": (None, 0, []),
    # its sample rate, an input, decides which of two networks is run
    "silero_vad/silero_vad":
        ("silero_vad/silero_vad.ref", 2, ["--const-inputs"]),
    "silero_vad/silero_vad_op18_ifless":
        ("silero_vad/silero_vad_op18_ifless.ref", 2, []),
    "gtcrn/gtcrn_simple": ("gtcrn/gtcrn_simple.ref", 2, []),
    "tiny_random_gpt2/past": ("tiny_random_gpt2/past.ref", 2, []),
    "vww_96_float": (None, 0, []),
}


def run(path, args, sets, compares):
    command = ["dnnc-run", path, *args]
    p = subprocess.run(command, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True)
    lines = p.stdout.splitlines()
    passed = sum(l.startswith("PASS ") and "test_data_set" in l for l in lines)
    same = sum(l.startswith("PASS compare values=") for l in lines)
    ok = p.returncode == 0 and passed == sets and same == compares
    print("ok" if ok else "not ok", *command[1:])
    if not ok:
        print(p.stdout)
    return ok


data = sys.argv[1]
failed = 0
for name, (folder, sets, options) in MODELS.items():
    models = os.path.join(data, "onnx-models")
    path = os.path.join(models, name + ".onnx")
    for level in "-O0", "-O2":
        common = [level, *options]
        if folder:
            refs = ["--test-data", os.path.join(models, folder)]
            failed += not run(path, common + refs, sets, 0)
            failed += not run(path, common + refs + ["--compare=interp"], sets,
                              sets)
        else:
            failed += not run(path, common + ["--random=1", "--compare=interp"],
                              0, 1)
print("%d failed" % failed)
sys.exit(failed > 0)
