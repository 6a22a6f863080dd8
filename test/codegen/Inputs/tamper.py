"""Every byte of a network's constants with a bit turned over, and every length of a file
of them: tamper.py MODEL SCRATCH. A run of an object of --checked must fail while a byte
of any of its constants is another one, net_load() must refuse every other file."""
import ctypes
import mmap
import os
import re
import subprocess
import sys

model, scratch = sys.argv[1:3]


def build(name, *options):
    base = os.path.join(scratch, name)
    subprocess.run(["dnnc", model, "--name=net", "-o", base + ".o", *options], check=True)
    subprocess.run(["cc", "-shared", base + ".o", "-o", base + ".so"], check=True)
    with open(base + ".h") as f:
        header = f.read()
    return base, header, ctypes.CDLL(os.path.abspath(base + ".so"))


def size(header, what):
    return int(re.search(r"_%s (\d+)u" % what, header)[1])


def memory(count):
    room = ctypes.create_string_buffer(count + 64)
    return room, (ctypes.addressof(room) + 63) // 64 * 64


def pointers(*addresses):
    return [ctypes.c_void_p(a) for a in addresses]


# ---- In the object ----
base, header, net = build("checked", "--checked")
rooms = [memory(n) for n in (1 << 16, 1 << 16, size(header, "ARENA_SIZE"))]
args = pointers(*[at for _, at in rooms])
start = ctypes.addressof(ctypes.c_char.in_dll(net, "net_model"))
symbols = {}
for line in subprocess.run(["llvm-nm", "-S", base + ".so"], check=True, capture_output=True,
                           text=True).stdout.splitlines():
    parts = line.split()
    if len(parts) == 4:
        symbols[parts[3]] = int(parts[0], 16), int(parts[1], 16)
offset = start - symbols["net_model"][0]
constants = [(at + offset, n) for name, (at, n) in symbols.items() if re.match(r"net\.c\d+\.", name)]
protect = ctypes.CDLL(None).mprotect
protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
good = net.net_run(*args) == 0
caught = total = 0
for at, n in constants:
    page = at // mmap.PAGESIZE * mmap.PAGESIZE
    if protect(page, at + n - page, mmap.PROT_READ | mmap.PROT_WRITE):
        sys.exit("no write access")
    for i in range(n):
        byte = ctypes.c_ubyte.from_address(at + i)
        byte.value ^= 1 << i % 8
        caught += net.net_run(*args) == 4
        byte.value ^= 1 << i % 8
        total += 1
print("runs", good and net.net_run(*args) == 0)
print("object: %s of %d constants" % ("all bytes" if caught == total else "%d of %d" % (caught, total),
                                      len(constants)))

# ---- In a file ----
base, header, net = build("apart", "--weights=" + os.path.join(scratch, "apart.bin"))
with open(os.path.join(scratch, "apart.bin"), "rb") as f:
    blob = f.read()
room, at = memory(len(blob))
ctypes.memmove(at, blob, len(blob))
load = lambda n, where=at: net.net_load(ctypes.c_void_p(where), ctypes.c_size_t(n))  # noqa: E731
print("loads", load(len(blob)) == 0 and size(header, "BLOB_SIZE") == len(blob))
missed = []
for i in range(len(blob)):
    byte = ctypes.c_ubyte.from_address(at + i)
    for bit in range(8) if i < 64 else [i % 8]:
        byte.value ^= 1 << bit
        missed += [i] if load(len(blob)) == 0 else []
        byte.value ^= 1 << bit
print("file:", "all bytes" if not missed else "%d missed, first %s" % (len(missed), missed[:9]))
short = [n for n in range(len(blob)) if load(n) == 0]
print("lengths:", "all" if not short else "%d missed" % len(short))
print("nowhere", net.net_load(None, ctypes.c_size_t(len(blob))), load(len(blob), at + 4))
