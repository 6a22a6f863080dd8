"""Prints a module of 40 kernels with register tiles as large as they get: LLVM
takes many seconds over it."""
N = 40
print("module @slow form kernels")
print("func @main(%x0: f32[256,256], %w: f32[256,256]) -> (f32[256,256]) {")
for i in range(N):
    print("  %%x%d = kernel {tile=[256,256], unroll=[64]} : f32[256,256] do {"
          % (i + 1))
    print("    %%m%d = matmul %%x%d, %%w : f32[256,256]" % (i, i))
    print("    yield %%m%d\n  }" % i)
print("  return %%x%d\n}" % N)
