; probe.ll - compiled for a target, so that the assembly shows what it can do:
; see ir/facts.def and VECTOR in targets.def. A function with the attribute
; "except" is left out for targets of that architecture, one with "only" for all
; but those. One with "after" is compiled where the assembly of those before it has
; the text, and may try what LLVM aborts at.

; Vectors.
define void @probe_add(ptr %p, ptr %q) "prefer-vector-width"="512" "min-legal-vector-width"="512" {
  %x = load <16 x float>, ptr %p
  %y = load <16 x float>, ptr %q
  %z = fadd <16 x float> %x, %y
  store <16 x float> %z, ptr %p
  ret void
}

; What becomes a call to a library where the processor cannot do it.
define float @probe_fma(float %x, float %y, float %z) {
  %r = call float @llvm.fma.f32(float %x, float %y, float %z)
  ret float %r
}
define void @probe_round(ptr %p, float %x) {
  %rint = call float @llvm.rint.f32(float %x)
  store volatile float %rint, ptr %p
  %floor = call float @llvm.floor.f32(float %x)
  store volatile float %floor, ptr %p
  %ceil = call float @llvm.ceil.f32(float %x)
  store volatile float %ceil, ptr %p
  %trunc = call float @llvm.trunc.f32(float %x)
  store volatile float %trunc, ptr %p
  ret void
}
define double @probe_fma64(double %x, double %y, double %z) {
  %r = call double @llvm.fma.f64(double %x, double %y, double %z)
  ret double %r
}
define void @probe_round64(ptr %p, double %x) {
  %rint = call double @llvm.rint.f64(double %x)
  store volatile double %rint, ptr %p
  %floor = call double @llvm.floor.f64(double %x)
  store volatile double %floor, ptr %p
  %ceil = call double @llvm.ceil.f64(double %x)
  store volatile double %ceil, ptr %p
  %trunc = call double @llvm.trunc.f64(double %x)
  store volatile double %trunc, ptr %p
  ret void
}
define double @probe_add64(double %x, double %y) {
  %r = fadd double %x, %y
  ret double %r
}
define <4 x float> @probe_fma4(<4 x float> %x, <4 x float> %y, <4 x float> %z) {
  %r = call <4 x float> @llvm.fma.v4f32(<4 x float> %x, <4 x float> %y, <4 x float> %z)
  ret <4 x float> %r
}
define void @probe_round4(ptr %p, <4 x float> %x) {
  %rint = call <4 x float> @llvm.rint.v4f32(<4 x float> %x)
  store volatile <4 x float> %rint, ptr %p
  %floor = call <4 x float> @llvm.floor.v4f32(<4 x float> %x)
  store volatile <4 x float> %floor, ptr %p
  %ceil = call <4 x float> @llvm.ceil.v4f32(<4 x float> %x)
  store volatile <4 x float> %ceil, ptr %p
  %trunc = call <4 x float> @llvm.trunc.v4f32(<4 x float> %x)
  store volatile <4 x float> %trunc, ptr %p
  ret void
}

; The upper half of a product.
define i32 @probe_mulh(i32 %x, i32 %y) "except"="xtensa" {
  %a = sext i32 %x to i64
  %b = sext i32 %y to i64
  %m = mul i64 %a, %b
  %s = ashr i64 %m, 32
  %r = trunc i64 %s to i32
  ret i32 %r
}

; Conversions to and from f16. LLVM fails at them for Xtensa.
define void @probe_half(ptr %p, ptr %q) "except"="xtensa" {
  %x = load half, ptr %p
  %wide = fpext half %x to float
  %y = load float, ptr %q
  %z = fadd float %wide, %y
  store float %z, ptr %q
  %narrow = fptrunc float %z to half
  store half %narrow, ptr %p
  ret void
}
define void @probe_half8(ptr %p, ptr %q) "except"="xtensa" {
  %x = load <8 x half>, ptr %p
  %wide = fpext <8 x half> %x to <8 x float>
  %y = load <8 x float>, ptr %q
  %z = fadd <8 x float> %wide, %y
  store <8 x float> %z, ptr %q
  %narrow = fptrunc <8 x float> %z to <8 x half>
  store <8 x half> %narrow, ptr %p
  ret void
}

; The smaller ones plus y, else x. AVX-512 does that to registers of any length
; under a mask only with its extension VL.
define <8 x float> @probe_mask(<8 x float> %x, <8 x float> %y) {
  %less = fcmp olt <8 x float> %x, %y
  %sum = fadd <8 x float> %x, %y
  %r = select <8 x i1> %less, <8 x float> %sum, <8 x float> %x
  ret <8 x float> %r
}

; AVX-512 without its extension BW: LLVM fails at comparisons of f16.
define void @probe_bytes(ptr %p, ptr %q) "only"="x86_64" "prefer-vector-width"="512" "min-legal-vector-width"="512" {
  %x = load <64 x i8>, ptr %p
  %y = add <64 x i8> %x, %x
  store <64 x i8> %y, ptr %q
  ret void
}

; Conversions to bf16, which come with sums of its products; those of AVX-NE-CONVERT,
; without such sums, have a prefix.
define void @probe_bf16(ptr %p, ptr %q) "only"="x86_64 aarch64" "prefer-vector-width"="512" "min-legal-vector-width"="512" {
  %x = load <16 x float>, ptr %p
  %y = fptrunc <16 x float> %x to <16 x bfloat>
  store <16 x bfloat> %y, ptr %q
  ret void
}

; Sums of 8-bit products. LLVM 19 fails at them for Xtensa.
define i32 @probe_dot(ptr %p, ptr %q) "except"="xtensa" "prefer-vector-width"="512" "min-legal-vector-width"="512" {
  %x = load <16 x i8>, ptr %p
  %y = load <16 x i8>, ptr %q
  %u = zext <16 x i8> %x to <16 x i32>
  %s = sext <16 x i8> %y to <16 x i32>
  %m = mul <16 x i32> %u, %s
  %r = call i32 @llvm.vector.reduce.add.v16i32(<16 x i32> %m)
  ret i32 %r
}
define i32 @probe_dot_signed(ptr %p, ptr %q) "except"="xtensa" {
  %x = load <16 x i8>, ptr %p
  %y = load <16 x i8>, ptr %q
  %u = sext <16 x i8> %x to <16 x i32>
  %s = sext <16 x i8> %y to <16 x i32>
  %m = mul <16 x i32> %u, %s
  %r = call i32 @llvm.vector.reduce.add.v16i32(<16 x i32> %m)
  ret i32 %r
}
define void @probe_abs8(ptr %p) "except"="xtensa" {
  %x = load <16 x i8>, ptr %p
  %y = call <16 x i8> @llvm.abs.v16i8(<16 x i8> %x, i1 false)
  store <16 x i8> %y, ptr %p
  ret void
}

; Sums of products of matrix registers, which come with those of vectors of bf16.
declare void @llvm.x86.tdpbusd(i8, i8, i8)
declare void @llvm.x86.tdpbf16ps(i8, i8, i8)
define void @probe_matrix() "only"="x86_64" "after"="vcvtneps2bf16" {
  call void @llvm.x86.tdpbusd(i8 0, i8 1, i8 2)
  ret void
}
define void @probe_matrix_bf16() "only"="x86_64" "after"="tdpbusd" {
  call void @llvm.x86.tdpbf16ps(i8 0, i8 1, i8 2)
  ret void
}
