"""TensorFlow Lite models with given outputs, bit for bit: tflite.py DATA SCRATCH.
Compiled for this machine as shared objects, and called."""
import ctypes
import json
import os
import re
import subprocess
import sys
import tarfile
import wave
import zlib
from array import array

data, scratch = sys.argv[1:3]
TINY = os.path.join(data, "mlperf-tiny")
os.makedirs(scratch, exist_ok=True)
failures = 0


def numbers(path, kind="b", skip=0):
    """Elements of a raw file, or of a .npy without its header."""
    with open(path, "rb") as f:
        raw = f.read()
    if raw[:6] == b"\x93NUMPY":
        raw = raw[10 + raw[8] + 256 * raw[9]:]
    v = array(kind)
    v.frombytes(raw)
    return v


class Network:
    def __init__(self, model, name, *options):
        base = os.path.join(scratch, name)
        for out in (base + ".so", "--emit=shared"), (base + ".h", "--emit=header"):
            subprocess.run(["dnnc", model, out[1], "--name=net", "-o", out[0], *options],
                           check=True)
        with open(base + ".h") as f:
            header = f.read()
        arena = int(re.search(r"ARENA_SIZE (\d+)u", header)[1])
        self.params = re.findall(r"^ \*   \S+: (in|out) ([a-z]+)(\d+)\[([\d,]*)\]", header, re.M)
        state = re.search(r"STATE_SIZE (\d+)u", header)
        library = ctypes.CDLL(base + ".so")
        self.run = library.net_run
        self.places = [self.place(int(state[1]))] if state else []
        if state:
            library.net_reset(*self.places)
        self.places.append(self.place(arena))

    def place(self, size):
        """Memory that is kept."""
        self.memory = getattr(self, "memory", []) + [ctypes.create_string_buffer(size + 64)]
        return ctypes.c_void_p((ctypes.addressof(self.memory[-1]) + 63) // 64 * 64)

    def __call__(self, *inputs):
        args, outs, given = [], [], iter(inputs)
        for way, kind, bits, dims in self.params:
            n = 1
            for d in dims.split(","):
                n *= int(d)
            code = {"8": "b", "16": "h", "32": "i", "64": "q"}[bits]
            v = next(given, None) if way == "in" else None
            v = array(code, v if v is not None else [0] * n)
            if way == "out":
                outs.append(v)
            args.append(ctypes.c_void_p(v.buffer_info()[0]))
            inputs += (v,)
        if self.run(*args, *self.places):
            raise RuntimeError("net_run failed")
        return [list(v) for v in outs]


def check(what, n, good):
    global failures
    failures += good != n
    print("%s: %d of %d" % (what, good, n))


def tiny(model):
    return Network(os.path.join(TINY, "models", model + ".tflite"), model)


def many(what, model, inputs, outputs, shift):
    net, size, of = tiny(model), None, None
    x, y = numbers(inputs, "B" if shift else "b"), numbers(outputs)
    size, of = {"kws": (490, 12), "ic": (3072, 10)}[what]
    n = len(y) // of
    check(what, n, sum(net([v - shift for v in x[i * size:(i + 1) * size]])[0]
                       == list(y[i * of:(i + 1) * of]) for i in range(n)))


def folded(v):
    """The outputs of anomaly detection, as 32-bit words, by exclusive or."""
    r = 0
    for i, b in enumerate(v):
        r ^= b << 8 * (i & 3) & 0xffffffff
    return r


def golden(name, model):
    net, good = tiny(model), 0
    with open(os.path.join(TINY, "cfu_golden", "goldens.json")) as f:
        wants = {k: v for k, v in json.load(f).items() if k.startswith(name + "/")}
    for key, want in wants.items():
        y = net(numbers(os.path.join(TINY, "cfu_golden", key + ".dat")))[0]
        got = folded(y) if name == "anomd" else y[1] - y[0] if name == "vww" else y
        good += got == (int(want, 16) if isinstance(want, str) else want)
    check(name, len(wants), good)


def lines(archive, member):
    return [int(v) for v in archive.extractfile(member).read().decode().replace(",", " ").split()]


def seanet():
    with tarfile.open(os.path.join(data, "tflm", "seanet_integration_tests.tar.xz")) as t:
        members = {m.name: m for m in t.getmembers()}
        models = sorted(n for n in members if n.endswith(".tflite"))
        good = 0
        for name in models:
            path = os.path.join(scratch, os.path.basename(name))
            with open(path, "wb") as f:
                f.write(t.extractfile(members[name]).read())
            base = name[:-7]
            parts = {k: lines(t, m) for k, m in members.items()
                     if re.match(re.escape(base) + r"_(input\d+|golden)_", k)}
            ins = [parts[k] for k in sorted(parts) if "_input" in k]
            want = next(v for k, v in parts.items() if "_golden" in k)
            good += Network(path, os.path.basename(base))(*ins)[0] == want
        check("seanet", len(models), good)


def audio():
    """Features of every 20 ms of four sounds, by their checksums."""
    wants = {"yes": 2822745722, "no": 3838239830, "noise": 1002278034, "silence": 1792286981}
    model = os.path.join(data, "tflm", "audio_preprocessor_int8.tflite")
    good = 0
    for name, want in wants.items():
        with wave.open(os.path.join(data, "tflm", "micro_speech_testdata", name + "_1000ms.wav")) as f:
            samples = array("h", f.readframes(f.getnframes()))
        crc, net = 0, Network(model, name)
        for at in range(0, len(samples) - 479, 320):
            features, = net(samples[at:at + 480])
            crc = zlib.crc32(bytes(v & 255 for v in features), crc)
        good += crc == want
    check("audio", len(wants), good)


def xnnpack(name, kind, quantize):
    """What the runtime's delegate XNNPACK gave, which rounds by floats."""
    folder = os.path.join(data, "mlonmcu", name)
    net = Network(os.path.join(folder, name + ".tflite"), name, "--requant=onnx")
    good = 0
    for i in range(10):
        x = numbers(os.path.join(folder, "input", "%d.bin" % i), kind)
        y = numbers(os.path.join(folder, "output_tflite", "%d.bin" % i), "f")
        good += [(v + 128) / 256 for v in net([quantize(v) for v in x])[0]] == list(y)
    check(name, 10, good)


many("kws", "kws_ref_model", os.path.join(TINY, "kws01_inputs_i8.npy"),
     os.path.join(TINY, "kws01_ref_outputs_i8.npy"), 0)
many("ic", "pretrainedResnet_quant", os.path.join(TINY, "ic_samples_u8.npy"),
     os.path.join(TINY, "ic_ref_outputs_i8.npy"), 128)
golden("anomd", "ad01_int8")
golden("imgc", "pretrainedResnet_quant")
golden("kws", "kws_ref_model")
golden("vww", "vww_96_int8")
seanet()
audio()
xnnpack("aww", "f", lambda v: max(-128, min(127, round(v / 0.5748363733291626) + 87)))
xnnpack("resnet", "B", lambda v: v - 128)
print("%d failures" % failures)
