# Reset of a RISC-V machine at 0x80000000.
  .section .vectors, "ax"
  .globl reset
reset:
  la sp, __stack_top
  call start
hang:
  j hang
  .section .note.GNU-stack, "", %progbits
