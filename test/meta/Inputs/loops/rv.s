# Loops of rv32im that multiply and add integers: the sum in a register, on the stack.
  .attribute arch, "rv32im"
  .globl kept
  .type kept,%function
kept:
  addi sp, sp, -16
1:
  lw t0, 4(sp)
  lb a2, 0(t0)
  addi t0, t0, 1
  sw t0, 4(sp)
  lb a3, 0(a1)
  mul a2, a2, a3
  add a4, a4, a2
  bne a5, a1, 1b
  ret
  .globl spilled
  .type spilled,%function
spilled:
  addi sp, sp, -16
1:
  lb a2, 0(a0)
  lb a3, 0(a1)
  mul a2, a2, a3
  lw a4, 8(sp)
  add a4, a4, a2
  sw a4, 8(sp)
  bne a5, a1, 1b
  ret
