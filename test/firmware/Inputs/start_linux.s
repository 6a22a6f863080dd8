/* Linux starts a program here; there is no C library to do it. */
  .globl _start
_start:
  START
  .section .note.GNU-stack, "", %progbits
