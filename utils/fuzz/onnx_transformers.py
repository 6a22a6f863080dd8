"""onnx_transformers.py - generators (see onnx_ops.py) of what saved language
models have: rotated positions, grouped queries, weights of few bits."""
import numpy as np

from onnx_graph import Invalid
from onnx_nets import f32
from onnx_ops import MS, generator, ints, number


def angles(g, n, half):
    a = np.arange(n)[:, None] / 10.0 ** (np.arange(half) / half)
    return [g.const(f(a).astype(np.float32)) for f in (np.cos, np.sin)]


@generator(MS + ".RotaryEmbedding")
def rotary(g, op, domain):
    b, s, h, d = g.rng.randint(1, 2), g.rng.randint(1, 5), \
        g.rng.randint(1, 3), g.rng.choice([4, 8])
    part, most = g.chance(.3), 9
    x = f32(g, [b, h, s, d] if g.chance(.5) and not part else [b, s, h * d],
            const=False)
    if g.chance(.5):
        at = ints(g, [g.rng.randint(0, most - s)])
    else:
        at = g.new("i64", [b, s], 0, most - 1, False)
    g.node(op, [x, at] + angles(g, most, d // 4 if part else d // 2),
           domain=domain, interleaved=g.rng.choice([None, 0, 1]),
           num_heads=h if part else None,
           rotary_embedding_dim=d // 2 if part else None)


@generator(MS + ".GroupQueryAttention")
def grouped(g, op, domain):
    b, kv, d = g.rng.randint(1, 2), g.rng.randint(1, 2), g.rng.choice([8, 16])
    h = kv * g.rng.randint(1, 3)
    past = g.rng.choice([0, 0, 1, 3, 6])
    s = g.rng.randint(1, 5) if not past else g.rng.choice([1, 1, 2])
    if past and s > 1:
        b = 1
    total = past + s
    rotary = g.chance(.5)
    if g.chance(.3):
        ins = [f32(g, [b, s, (h + 2 * kv) * d], const=False), None, None]
    else:
        ins = [f32(g, [b, s, n * d], const=False) for n in (h, kv, kv)]
    if past:
        ins += [f32(g, [b, kv, past, d], const=False) for _ in range(2)]
    else:
        ins += [None, None]
    ins += [g.const(np.full(b, total - 1, np.int32)),
            g.const(np.array(total, np.int32))]
    if rotary:
        ins += angles(g, total + 2, d // 2)
    g.node(op, ins, 3, domain=domain, num_heads=h, kv_num_heads=kv,
           do_rotary=1 if rotary else None,
           rotary_interleaved=g.rng.choice([0, 1]) if rotary else None,
           local_window_size=g.rng.randint(1, 4) if g.chance(.3) else None,
           softcap=number(g, 1, 9) if g.chance(.3) else None,
           scale=number(g, .1, .5) if g.chance(.3) else None)


@generator(MS + ".MatMulNBits")
def nbits(g, op, domain):
    bits, block = g.rng.choice([4, 4, 4, 8, 2]), g.rng.choice([16, 32])
    k, n = g.rng.choice([16, 24, 32, 64, 80]), g.rng.choice([1, 3, 8, 17])
    blocks = -(-k // block)
    rows = [g.rng.randint(1, 3) for _ in range(g.rng.randint(1, 2))]
    r = np.random.default_rng(g.rng.getrandbits(32))
    ins = [f32(g, rows + [k], const=False),
           g.const(r.integers(0, 256, (n, blocks, block * bits // 8),
                              dtype=np.uint8)),
           g.const(r.uniform(.05, .2, n * blocks).astype(np.float32))]
    if g.chance(.5):
        ins.append(g.const(r.integers(
            0, 256, n * (-(-blocks * bits // 8)), dtype=np.uint8)))
        if g.chance(.4):
            ins += [None, f32(g, [n], const=True)]
    g.node(op, ins, domain=domain, K=k, N=n, bits=bits, block_size=block)


@generator(MS + ".DynamicQuantizeLSTM")
def quantized_lstm(g, op, domain):
    s, b, i, h = (g.rng.randint(1, n) for n in (4, 3, 8, 6))
    way = g.rng.choice(["forward", "reverse", "bidirectional"])
    d = 2 if way == "bidirectional" else 1
    x = f32(g, [s, b, i], const=False)
    if not np.abs(x.a).max() > .1:
        raise Invalid("a scale of 0")
    r = np.random.default_rng(g.rng.getrandbits(32))
    t, scales, zeros = g.rng.choice([np.int8, np.uint8]), [], []
    each = [d, 4 * h] if g.chance(.4) else [d]
    info = np.iinfo(t)
    ws = [g.const(r.integers(info.min, info.max, (d, k, 4 * h), dtype=t))
          for k in (i, h)]
    for _ in range(2):
        scales.append(g.const(r.uniform(.003, .01, each).astype(np.float32)))
        zeros.append(g.const(np.full(each, 0 if t == np.int8 else 128, t)))
    ins = [x] + ws + [f32(g, [d, 8 * h], const=True) if g.chance(.7) else None,
                      None]
    ins += [f32(g, [d, b, h]) if g.chance(.5) else None for _ in range(2)]
    ins += [None, scales[0], zeros[0], scales[1], zeros[1]]
    g.node(op, ins, 3, domain=domain, hidden_size=h, direction=way)
