"""Random models with state, stepped in one shared object, against the
interpreter that is fed by hand. Arguments: first seed, last seed, options of
dnnc. Arenas are filled with NaN before each step, and guarded around.

State may be written in place, swapped, returned besides, seen through views,
written by slices, be the result of a loop: each seed draws some of these."""
import ctypes
import os
import random
import struct
import subprocess
import sys
import tempfile

ROWS, COLS, STEPS = 3, 4, 3
COUNT = ROWS * COLS
TYPE = f"f32[{ROWS},{COLS}]"


def binary(r, names):
    return f"{r.choice(['add', 'sub', 'max', 'min'])} {r.choice(names)}, {r.choice(names)}"


def body(r, names, lines, fresh):
    """One random value of TYPE, made of those named."""
    def new(text):
        fresh[0] += 1
        lines.append(f"  %v{fresh[0]} = {text}")
        return f"%v{fresh[0]}"
    kind = r.randrange(9)
    x = r.choice(names)
    if kind == 0:
        t = new(f"transpose {x} {{perm=[1,0]}}")
        p = new(f"matmul {x}, {t}")
        return new(f"mul @tenth, {new(f'matmul {p}, {r.choice(names)}')}")
    if kind == 1:
        s = new(f"slice {x} {{starts=[1,0], sizes=[{ROWS - 1},{COLS}]}}")
        y = new(f"slice {r.choice(names)} {{starts=[0,0], sizes=[1,{COLS}]}}")
        return new(f"concat {s}, {y} {{axis=0}}")
    if kind == 2:
        u = new(f"slice {r.choice(names)} {{starts=[1,0], sizes=[1,{COLS}]}}")
        return new(f"scatter {x}, @row, {u}")
    if kind == 3:
        s = new(f"reduce_sum {x} {{axes=[1]}}")
        return new(f"add {r.choice(names)}, {s}")
    if kind == 4:
        a = new(f"reshape {x} {{shape=[{COUNT}]}}")
        return new(f"reshape {new(f'tanh {a}')} {{shape=[{ROWS},{COLS}]}}")
    if kind == 5:
        fresh[0] += 1
        lines.append(f"  %v{fresh[0]} = loop @turns, @yes, {x} : {TYPE} do "
                     f"(%i{fresh[0]}: i64[], %c{fresh[0]}: bool[], %y{fresh[0]}: {TYPE}) {{\n"
                     f"    %z{fresh[0]} = mul %y{fresh[0]}, @tenth\n"
                     f"    yield @yes, %z{fresh[0]}\n  }}")
        return f"%v{fresh[0]}"
    return new(f"mul @tenth, {new(binary(r, names))}" if kind == 6
               else binary(r, names))


def model(r):
    states = r.randint(1, 3)
    params = ["%x"] + [f"%h{i}" for i in range(states)]
    names, lines, fresh = list(params), [], [0]
    for _ in range(r.randint(1, 7)):
        names.append(body(r, names, lines, fresh))
    results = [r.choice(names) for _ in range(states + 1)]
    order = list(range(states + 1))
    r.shuffle(order)
    state = [order[i] for i in range(states + 1)]
    state[r.randrange(states + 1)] = -1
    kept = [s if s > 0 else -1 for s in state]
    text = "const @tenth : f32[1] = splat 0.1\nconst @row : i32[1] = dense [1]\n"
    text += "const @turns : i64[] = dense [3]\nconst @yes : bool[] = dense [1]\n"
    text += f"const @first : {TYPE} = splat 0.5\n"
    initial = [r.random() < 0.3 for _ in params]
    heads = [f"{p}: {TYPE}" + (" = @first" if i and initial[i] else "")
             for i, p in enumerate(params)]
    outs = [f'"o{i}": {TYPE}' for i in range(states + 1)]
    text += f"func @main({', '.join(heads)}) -> ({', '.join(outs)}) {{\n"
    text += "\n".join(lines) + ("\n" if lines else "")
    text += f"  return {', '.join(results)} {{state={kept}}}\n}}\n".replace("'", "")
    return text, states, kept, initial


def floats(data):
    return list(struct.unpack(f"{COUNT}f", data))


def interpret(folder, values):
    args = []
    for i, v in enumerate(values):
        path = f"{folder}/in{i}.bin"
        with open(path, "wb") as f:
            f.write(struct.pack(f"{COUNT}f", *v))
        args += ["--input", ("x" if i == 0 else f"h{i - 1}") + "=" + path]
    subprocess.run(["dnnc-run", f"{folder}/m.dnn", "--interp", *args,
                    "--output-dir", folder], check=True)
    out = []
    for i in range(len(values)):
        with open(f"{folder}/o{i}.npy", "rb") as f:
            out.append(floats(f.read()[-4 * COUNT:]))
    return out


def defines(folder):
    with open(f"{folder}/m.h") as f:
        return {l.split()[1]: l.split()[2].rstrip("u") for l in f
                if l.startswith("#define M_") and len(l.split()) > 2}


def block(size, align):
    """Bytes with NaNs in them and around, aligned; and where they begin."""
    raw = ctypes.create_string_buffer(b"\xff" * (size + 2 * align + 256),
                                      size + 2 * align + 256)
    at = ctypes.addressof(raw) + 128
    return raw, (at + align - 1) // align * align


def guarded(raw, at, size):
    begin = at - ctypes.addressof(raw)
    around = raw.raw[begin - 64:begin] + raw.raw[begin + size:begin + size + 64]
    return around == b"\xff" * 128


def near(a, b):
    return all(abs(p - q) <= 1e-4 * max(1, abs(p)) or p != p for p, q in zip(a, b))


def check(seed, options):
    r = random.Random(seed)
    text, states, kept, initial = model(r)
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/m.dnn", "w") as f:
            f.write(text)
        run = subprocess.run(["dnnc", f"{folder}/m.dnn", "--emit=shared", "-o",
                              f"{folder}/m.so", *options], capture_output=True, text=True)
        if run.returncode:
            return f"seed {seed}: {run.stderr}\n{text}"
        subprocess.run(["dnnc", f"{folder}/m.dnn", "-o", f"{folder}/m.o", *options], check=True)
        facts = defines(folder)
        lib = ctypes.CDLL(f"{folder}/m.so")
        size, align = int(facts.get("M_STATE_SIZE", 0)), int(facts.get("M_STATE_ALIGN", 64))
        raw, state = block(size, align)
        if size:
            lib.m_reset(ctypes.c_void_p(state))
        ins = [i for i in range(states + 1) if i not in kept]
        outs = [i for i in range(states + 1) if kept[i] < 0]
        fed = [[0.5 if initial[i] else 0.0] * COUNT for i in range(states + 1)]
        for step in range(STEPS):
            for i in ins:
                fed[i] = [r.uniform(-1, 1) for _ in range(COUNT)]
            arena_size = int(facts["M_ARENA_SIZE"])
            room, arena = block(arena_size, int(facts["M_ARENA_ALIGN"]))
            given = [(ctypes.c_float * COUNT)(*fed[i]) for i in ins]
            got = [(ctypes.c_float * COUNT)() for _ in outs]
            rest = [ctypes.c_void_p(state)] if size else []
            status = lib.m_run(*given, *got, *rest,
                               ctypes.c_void_p(arena if arena_size else 0))
            want = interpret(folder, fed)
            if status or not guarded(raw, state, size) or not guarded(room, arena, arena_size):
                return f"seed {seed}: status {status}, or bytes around\n{text}"
            for k, i in enumerate(outs):
                if not near(want[i], list(got[k])):
                    return f"seed {seed}, step {step}: output {i} differs\n{text}"
            for i, param in enumerate(kept):
                if param >= 0:
                    fed[param] = want[i]
    return None


def main():
    first, last, options = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    faults = [f for f in (check(s, options) for s in range(first, last + 1)) if f]
    print(*faults, sep="\n")
    print(f"{last + 1 - first - len(faults)} of {last + 1 - first} right")


main()
