"""Bytes of code, `limit` at most, of MLPerf Tiny's networks in TFLite on Cortex-M4.
Arguments: the folder of the networks, scratch, then `level limit` pairs."""
import json
import subprocess
import sys

models, scratch = sys.argv[1:3]
for level, limit in zip(sys.argv[3::2], sys.argv[4::2]):
    for name in ("pretrainedResnet_quant", "kws_ref_model", "vww_96_int8", "ad01_int8"):
        subprocess.run(["dnnc", f"{models}/{name}.tflite", level, "-o", f"{scratch}.o",
                        "--target=thumbv7em-none-eabihf", "-mcpu=cortex-m4",
                        f"--report={scratch}.json"], check=True)
        with open(f"{scratch}.json") as f:
            size = json.load(f)["text_bytes"]
        print(name, level, "fits" if size <= int(limit) else f"{size} of {limit}")
