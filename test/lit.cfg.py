# The suite: lit + FileCheck, mirrored after the sources (docs/testing.md).
import glob
import os
import shutil
import subprocess
import tempfile

import lit.formats

config.name = "dnnc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".dnn", ".test", ".json"]
config.excludes = ["Inputs", "CMakeLists.txt"]
config.test_source_root = os.path.join(config.source_dir, "test")
config.test_exec_root = os.path.join(config.build_dir, "test")

# Our tools, then those of the LLVM that dnnc was built with, then a newer
# LLVM's (LLVM 19 may be installed without FileCheck).
bin_dir = os.path.join(config.build_dir, "bin")
path = [bin_dir, config.llvm_tools]
path += sorted(glob.glob("/usr/lib/llvm-*/bin"), reverse=True)
path.append(config.environment["PATH"])
config.environment["PATH"] = os.pathsep.join(path)
for name in ["HOME", "DNNC_DATA", "ASAN_OPTIONS", "UBSAN_OPTIONS"]:
    if name in os.environ:
        config.environment[name] = os.environ[name]
if config.sanitize:
    config.available_features.add("sanitize")
    # A compile frees its context as a whole; what main leaves is not a leak.
    config.environment.setdefault("ASAN_OPTIONS", "detect_leaks=0")


def found(tool):
    return shutil.which(tool, path=config.environment["PATH"])


def feature(name, condition):
    if condition:
        config.available_features.add(name)


# The data folder: models and conformance tests too large for the repository.
data = os.environ.get("DNNC_DATA") or os.path.join(
    os.path.dirname(config.source_dir), "shared", "data")
feature("shared-data", os.path.isdir(data))
feature("shared-llm", os.path.isdir(os.path.join(data, "llm")))
cases = os.path.join(os.path.dirname(data), "cases")
feature("shared-cases", os.path.isdir(cases))

# libonnx-testdata, a Debian package.
onnx_data = "/usr/share/libonnx-testdata"
for place in glob.glob("/usr/share/libonnx*/data"):
    onnx_data = place
feature("onnx-testdata", os.path.isdir(onnx_data))

# Python with numpy and onnxruntime, for tests that compare with them.
python = os.environ.get("DNNC_PYTHON") or found("python3")

# The virtual environment of the benchmarks (utils/venv), for tests in which ONNX
# Runtime, TensorFlow Lite Micro or a builder of firmware judges.
venv = os.path.join(config.source_dir, "build", "bench-venv", "bin", "python")
for judge, modules in (("onnxruntime", "numpy, onnx, onnxruntime"),
                       ("tflite-micro", "numpy, tflite_micro"),
                       ("platformio", "platformio"),
                       ("cmsis-pack-manager", "cmsis_pack_manager")):
    feature(judge, os.path.exists(venv) and not subprocess.run(
        [venv, "-c", "import " + modules], capture_output=True).returncode)

for arch in ["arm", "aarch64", "riscv64", "riscv32", "x86_64", "xtensa", "system-arm",
             "system-riscv32", "system-riscv64"]:
    feature("qemu-" + arch, found("qemu-" + arch))
for cc in ["arm-none-eabi", "aarch64-linux-gnu", "riscv64-unknown-elf",
           "riscv64-linux-gnu", "arm-linux-gnueabihf"]:
    feature(cc + "-gcc", found(cc + "-gcc"))
for ld in ["arm-none-eabi", "aarch64-linux-gnu", "riscv64-linux-gnu"]:
    feature(ld + "-ld", found(ld + "-ld"))
for tool in ["groff", "zsh", "fish", "arm-none-eabi-g++",
             "xtensa-lx106-elf-gcc"]:
    feature(tool, found(tool))
feature("lld", found("ld.lld"))
feature("clang", found("clang"))


def runs_with(flag):
    """Whether programs of gcc -FLAG run here: some kernels refuse TSan's."""
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "a")
        command = ["gcc", flag, "-x", "c", "-", "-o", program]
        return found("gcc") and not subprocess.run(
            command, input=b"int main(void) { return 0; }",
            capture_output=True).returncode and not subprocess.run(
                [program], capture_output=True).returncode


feature("tsan", runs_with("-fsanitize=thread"))
# Models of more than 2 GB: so much memory and disk to spare.
feature("large-memory",
        os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") > 8 << 30 and
        shutil.disk_usage(config.build_dir).free > 10 << 30)
feature("x86_64", os.uname().machine == "x86_64")
cpuinfo = open("/proc/cpuinfo").read().split()
feature("amx-int8", "amx_int8" in cpuinfo)
feature("amx-bf16", "amx_bf16" in cpuinfo)
feature("llvm-%d" % config.llvm_version, True)

config.substitutions += [
    ("%shared_data", data),
    ("%shared_cases", cases),
    ("%onnx_testdata", onnx_data),
    # %exit N COMMAND: a failure that is meant has one exit code.
    ("%exit", os.path.join(config.source_dir, "test", "exit")),
    ("%source", config.source_dir),
    ("%build", config.build_dir),
    ("%cc", config.c_compiler),
    ("%venv-python", venv),
    ("%python", python or "python3"),
    ("%dnnc-opt", os.path.join(bin_dir, "dnnc-opt")),
    ("%dnnc-run", os.path.join(bin_dir, "dnnc-run")),
    ("%dnnc", os.path.join(bin_dir, "dnnc")),
]
