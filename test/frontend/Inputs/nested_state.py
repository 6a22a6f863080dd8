"""Lines for tflite.py, of a model with N levels of IF around a variable that the
innermost changes: nested_state.py N FILE"""
import sys

levels = int(sys.argv[1])
lines = """in c bool[]; in x f32[2]; out y f32[2]; h res[]; 129/103 -> 0i=1; 142/111 -> h 1s=a
118/92 c x c -> y 0i=3 1i=2
graph; h res[]; z f32[2] = 5 -1; 142/111 -> h 1s=a; 144/113 h z ->
graph; in x f32[2]; in c bool[]; out z f32[2]; k f32[2] = 0.5 0.25; 18/21 x k -> z"""
for i in range(levels):
    lines += "\ngraph; in x f32[2]; in c bool[]; out z f32[2]\n"
    if i < levels - 1:
        lines += "118/92 c x c -> z 0i=%d 1i=2" % (4 + i)
    else:
        lines += """h res[]; v f32[2]; 142/111 -> h 1s=a; 143/112 h -> v; 0/11 x v -> z
144/113 h z ->"""
with open(sys.argv[2], "w") as f:
    for line in lines.replace("\n", "; ").split("; "):
        if line:
            f.write("#nested|%s\n" % line)
