"""Other runtimes on the same ONNX files: a row each in PEERS.

A row's function takes a model's path, a number of threads and inputs by name, and
returns two functions: one runs the model once, one gives the outputs of the last
run as a list of arrays. It raises Absent to say why there is nothing to measure.
All compute in f32, but those of HALVES.
"""
import functools
import importlib.metadata
import subprocess
import sys
import textwrap
from pathlib import Path


class Absent(Exception):
    pass


def onnxruntime(path, threads, inputs):
    import onnxruntime as ort
    o = ort.SessionOptions()
    o.intra_op_num_threads, o.inter_op_num_threads = threads, 1
    o.log_severity_level = 3
    s = ort.InferenceSession(str(path), o, providers=["CPUExecutionProvider"])
    b = s.io_binding()  # without it Python's part would count in small networks
    for name, array in inputs.items():
        b.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
    for out in s.get_outputs():
        b.bind_output(out.name)
    return lambda: s.run_with_iobinding(b), b.copy_outputs_to_cpu


def openvino(path, threads, inputs, precision="f32"):
    import openvino as ov
    options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads,
               "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    core = ov.Core()
    model = core.read_model(path)
    model.reshape({k: a.shape for k, a in inputs.items()})
    request = core.compile_model(model, "CPU", options).create_infer_request()
    for name, array in inputs.items():
        request.set_tensor(name, ov.Tensor(array, shared_memory=True))

    def run():
        request.start_async()
        request.wait()
    return run, lambda: [t.data for t in request.output_tensors]


def iree_module(path, seconds=120):
    """Compiles for this machine, once for a version; failures are kept, too."""
    version = importlib.metadata.version("iree-base-compiler")
    out = path.parent / "iree" / f"{path.stem}-{version}.vmfb"
    failed = out.with_suffix(".failed")
    if not out.exists() and not failed.exists():
        out.parent.mkdir(exist_ok=True)
        text = out.with_suffix(".mlir")
        commands = [
            ["iree-import-onnx", path, "--opset-version=17", "-o", text],
            ["iree-compile", text, "-o", out, "--iree-hal-target-device=local",
             "--iree-hal-local-target-device-backends=llvm-cpu",
             "--iree-llvmcpu-target-cpu=host", "--iree-opt-level=O3",
             "--iree-opt-data-tiling"]]
        bin_ = Path(sys.executable).parent
        try:
            for c in commands:
                subprocess.run([bin_ / c[0], *c[1:]], check=True, capture_output=True,
                               text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            failed.write_text(f"no end of its compile after {seconds} s")
        except subprocess.CalledProcessError as e:
            why = [l for l in e.stderr.splitlines() if "error" in l] or ["failed"]
            failed.write_text(textwrap.shorten(why[0].split("error:")[-1], 60))
        if failed.exists():
            out.unlink(missing_ok=True)
        text.unlink(missing_ok=True)
    if not out.exists():
        raise Absent(failed.read_text())
    return out


def iree(path, threads, inputs):
    import iree.runtime as rt
    vmfb = iree_module(path)
    if threads > 1:  # of all devices made later; local-sync has one anyway
        rt.flags.parse_flags(f"--task_topology_group_count={threads}")
    config = rt.Config("local-sync" if threads == 1 else "local-task")
    context = rt.SystemContext(config=config)
    module = rt.VmModule.mmap(config.vm_instance, str(vmfb))
    context.add_vm_module(module)
    bound = context.modules[module.name]
    name = next(n for n in module.function_names if not n.startswith("__")
                and not n.endswith("$async"))
    arrays = [rt.asdevicearray(config.device, a) for a in inputs.values()]
    last = []

    def run():
        out = bound[name](*arrays)
        last[:] = [a.to_host() for a in (out if isinstance(out, tuple) else [out])]
    return run, lambda: last


def pytorch(path, threads, inputs):
    raise Absent("reads no ONNX files")


PEERS = {  # name: (package whose version counts, function); the first is the
    "ONNX Runtime": ("onnxruntime", onnxruntime),  # reference of all the others
    "OpenVINO": ("openvino", openvino),
    "IREE": ("iree-base-compiler", iree),
    "PyTorch": ("torch", pytorch),
}
HALVES = {  # those that compute in bf16
    "OpenVINO, bf16": ("openvino", functools.partial(openvino, precision="bf16")),
}


def version(name):
    try:
        return importlib.metadata.version((PEERS | HALVES)[name][0])
    except importlib.metadata.PackageNotFoundError:
        return None


def random_inputs(path):
    """By name: normal floats, and zeroes and ones for the rest."""
    import numpy as np
    import onnx
    graph = onnx.load(path, load_external_data=False).graph
    rng = np.random.default_rng(0)
    constants = {i.name for i in graph.initializer}
    inputs = {}
    for i in graph.input:
        t = i.type.tensor_type
        shape = [d.dim_value or 1 for d in t.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(t.elem_type)
        if i.name not in constants:
            a = rng.standard_normal(shape) if dtype.kind == "f" else rng.integers(0, 2, shape)
            inputs[i.name] = a.astype(dtype)
    return inputs


def differ(got, want, tolerance):
    """What is wrong with outputs, or None: 1e-3, and `tolerance` of the largest."""
    import numpy as np
    if len(got) != len(want):
        return f"{len(got)} outputs, not {len(want)}"
    for k, (a, b) in enumerate(zip(got, want)):
        largest = float(np.abs(b).max(initial=0))
        if not np.allclose(a, b, rtol=1e-3, atol=tolerance * largest):
            return f"output {k} differs by {float(np.abs(a - b).max()):g} of {largest:g}"
    return None


def save(folder, inputs, outputs):
    """As dnnc-run --test-data reads them."""
    from onnx import numpy_helper
    for stem, arrays in (("input", inputs.values()), ("output", outputs)):
        for k, a in enumerate(arrays):
            (folder / f"{stem}_{k}.pb").write_bytes(numpy_helper.from_array(a).SerializeToString())
