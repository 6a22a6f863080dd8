"""sizes.py FLAG...: networks of each kind of op compiled for sizes up to bounds, at
the least, the greatest and random sizes, beside the interpreter on the network for
just these sizes. In a network N<=37 is a size, "2*N"<=74 too, ${N} a number that
is the bound or the size. Prints how many runs agree."""
import os
import random
import re
import subprocess
import sys
import tempfile

from outputs import outputs, same

NETS = {
    "softmax": """const @w : f32[40,33] = splat 0.5
func @main(%x: f32[N<=37,40]) -> ("y": f32[N<=37,33]) {
  %1 = matmul %x, @w  %m = reduce_max %1 {axes=[1]}  %s = sub %1, %m
  %e = exp %s  %t = reduce_sum %e {axes=[1]}  %y = div %e, %t  return %y }""",
    "row": """func @main(%x: f32[N<=100], %z: f32[N<=100]) -> ("y": f32[N<=100]) {
  %1 = mul %x, %z  %2 = exp %1  return %2 }""",
    "inner": """func @main(%x: f32[3,N<=70]) -> ("y": f32[3,N<=70]) {
  %m = reduce_max %x {axes=[1]}  %s = sub %x, %m  %e = exp %s
  %t = reduce_sum %e {axes=[1]}  %y = div %e, %t  return %y }""",
    "heads": """const @w : f32[32,32] = splat 0.1
func @main(%x: f32[1,N<=40,32]) -> ("y": f32[1,N<=40,32]) {
  %h = matmul %x, @w  %r = reshape %h {shape=[1,${N},4,8]}
  %q = transpose %r {perm=[0,2,1,3]}  %k = transpose %r {perm=[0,2,3,1]}
  %s = matmul %q, %k  %e = tanh %s  %o = matmul %e, %q
  %t = transpose %o {perm=[0,2,1,3]}
  %y = reshape %t {shape=[1,${N},32]}  return %y }""",
    "picture": """const @w : f32[8,3,3,4] = splat 0.1
func @main(%x: f32[1,4,H<=21,W<=19]) -> ("y": f32[1,8,"(H+1)/2"<=11,"(W+1)/2"<=10],
    "p": f32[1,"(H+1)/2"<=11,"(W+1)/2"<=10,4]) {
  %t = transpose %x {perm=[0,2,3,1]}
  %1 = conv %t, @w {strides=[2,2], pads=[1,1,1,1]}
  %2 = transpose %1 {perm=[0,3,1,2]}
  %3 = window_max %t {kernel=[1,3,3,1], strides=[1,2,2,1], pads=[0,1,1,0,0,1,1,0]}
  return %2, %3 }""",
    "cache": """func @main(%x: f32[2,P<=20,8], %y: f32[2,N<=9,8])
    -> ("c": f32[2,"N+P"<=29,8], "e": f32[2,"N+P"<=29,8]) {
  %c = concat %x, %y {axis=1}  %e = exp %c  return %c, %e }""",
    "pick": """const @t : f32[30,8] = splat 0.25
func @main(%i: i64[1,N<=33], %x: f32[N<=33,8], %j: i64[5])
    -> ("g": f32[1,N<=33,8], "h": f32[5,8]) {
  %g = gather @t, %i  %h = gather %x, %j  return %g, %h }""",
    "first": """func @main(%x: f32[4,N<=45], %z: f32[N<=45,20])
    -> ("a": i32[4,1], "b": i32[N<=45,1], "c": f32[1,20]) {
  %a = argmax %x {axes=[1]}  %b = argmin %z {axes=[1]}
  %c = reduce_max %z {axes=[0]}  return %a, %b, %c }""",
    "running": """func @main(%x: f32[3,N<=45], %z: f32[N<=45,20])
    -> ("a": f32[3,N<=45], "b": f32[N<=45,20]) {
  %a = cumsum %x {axis=1}  %b = cumsum %z {axis=0}  return %a, %b }""",
    "apart": """func @main(%x: f32[3,N<=45,5], %z: f32[2,3,N<=45])
    -> ("a": f32[3,5,N<=45], "b": f32[N<=45,2,3], "c": f32[3,N<=45,5]) {
  %a = transpose %x {perm=[0,2,1]}  %b = transpose %z {perm=[2,0,1]}
  return %a, %b, %x }""",
    "edges": """func @main(%x: f32[N<=20,8]) -> ("z": f32["N-1"<=19,8], "p": f32["N+3"<=23,8]) {
  %y = slice %x {starts=[1,0], sizes=[${N-1},8]} : f32["N-1"<=19,8]
  %z = exp %y  %p = pad %x {pads=[1,0,2,0]}  return %z, %p }""",
}


def value(text, at):
    return str(eval(text.replace("/", "//"), {}, dict(at)))


def numbers(text, at):
    text = re.sub(r'"([^"<]*)"<=\d+', lambda m: value(m[1], at), text)
    text = re.sub(r"\b([A-Z])<=\d+", lambda m: str(at[m[1]]), text)
    return holes(text, at)


def holes(text, at):
    return re.sub(r"\$\{([^}]*)\}", lambda m: value(m[1], at), text)


random.seed(11)
right = total = 0
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "net.dnn")
    obj = os.path.join(folder, "net.o")
    for name, text in NETS.items():
        bounds = {k: int(v) for k, v in re.findall(r"\b([A-Z])<=(\d+)", text)}
        open(path, "w").write(holes(text, bounds))
        subprocess.run(["dnnc", path, *sys.argv[1:], "-o", obj], check=True)
        for k in range(4):
            at = {n: (1, b)[k] if k < 2 else random.randint(1, b)
                  for n, b in bounds.items()}
            got = outputs(obj, *("--dim=%s=%d" % d for d in at.items()))
            open(path, "w").write(numbers(text, at))
            want = outputs(path, "--interp")
            ok = same(got, want)
            right += ok
            total += 1
            if not ok:
                print("differs:", name, at)
print("%d of %d right" % (right, total))
