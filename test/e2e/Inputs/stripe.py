"""Attention of N queries and keys of 64 elements, in H heads, causal if asked; or
convolutions, or loops."""
import random
import sys


def const(name, shape, r):
    count = 1
    for d in shape:
        count *= d
    data = ", ".join("%.3f" % r.uniform(-0.3, 0.3) for _ in range(count))
    print(f"const @{name} : f32[{','.join(map(str, shape))}] = dense [{data}]")


def attention(n, h, causal):
    t = f"f32[{h},{n},64]"
    numbers = ", ".join(map(str, range(n)))
    mask = f"""const @key : i32[1,{n}] = dense [{numbers}]
const @query : i32[{n},1] = dense [{numbers}]
const @low : f32[] = splat -inf
"""
    select = "  %seen = le @key, @query\n  %y = select %seen, %x, @low\n"
    y = "y" if causal else "x"
    print(f"""{mask if causal else ''}const @scale : f32[] = splat 0.125
func @main(%q: {t}, %k: {t}, %v: {t}) -> ("o": {t}) {{
  %kt = transpose %k {{perm=[0,2,1]}}
  %s = matmul %q, %kt
  %x = mul %s, @scale
{select if causal else ''}  %m = reduce_max %{y} {{axes=[2]}}
  %d = sub %{y}, %m
  %e = exp %d
  %t = reduce_sum %e {{axes=[2]}}
  %p = div %e, %t
  %o = matmul %p, %v
  return %o
}}""")


def convolutions():
    """Two values of 262,144 bytes at any time; input and output are small."""
    r, ops, x = random.Random(1), [], "x"
    for i in range(5):
        const(f"w{i}", [16, 3, 3, 16 if i else 1], r)
        ops.append(f"%c{i} = conv %{x}, @w{i} {{pads=[1,1,1,1]}} loc(\"conv{i}\")")
        ops.append(f"%r{i} = relu %c{i}")
        x = f"r{i}"
    const("w5", [2, 3, 3, 16], r)
    ops.append(f"%o = conv %{x}, @w5 {{pads=[1,1,1,1], strides=[4,4]}} loc(\"conv5\")")
    print('func @main(%x: f32[1,64,64,1]) -> ("o": f32[1,16,16,2]) {')
    print("  " + "\n  ".join(ops) + "\n  return %o\n}")


def loops(n):
    print("func @main(%x0: f32[8,4]) -> (f32[8,4]) {")
    for i in range(n):
        print(f"  %x{i + 1} = scan %x{i} {{states=0}} : f32[8,4] do (%r{i}: f32[4]) {{"
              f" %a{i} = exp %r{i} yield %a{i} }}")
    print(f"  return %x{n}\n}}")


if sys.argv[1] == "loops":
    loops(int(sys.argv[2]))
elif sys.argv[1] == "attention":
    attention(int(sys.argv[2]), int(sys.argv[3]), "causal" in sys.argv)
else:
    convolutions()
