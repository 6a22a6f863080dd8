@ Vectors and reset of a Cortex-M; FPU access first where there is one.
  .syntax unified
  .section .vectors, "a"
  .word __stack_top
  .word reset
  .text
  .thumb
  .globl reset
  .thumb_func
reset:
.ifdef FPU
  ldr r0, =0xe000ed88
  ldr r1, [r0]
  ldr r2, =0x00f00000
  orrs r1, r2
  str r1, [r0]
  dsb
  isb
.endif
  bl start
hang:
  b hang
  .section .note.GNU-stack, "", %progbits
