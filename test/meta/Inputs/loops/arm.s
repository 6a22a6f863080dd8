@ Loops of Cortex-M4 that multiply and add integers: the sum in a register, on the stack, with mla and in two.
  .eabi_attribute 6, 13
  .eabi_attribute 7, 77
  .eabi_attribute 9, 2
  .syntax unified
  .thumb
  .text
  .globl kept
  .type kept,%function
kept:
  sub sp, #16
1:
  ldr r1, [sp, #4]
  ldrb r2, [r1], #1
  str r1, [sp, #4]
  ldrb r3, [r0], #1
  mla r4, r2, r3, r4
  subs r5, r5, #1
  bne 1b
  bx lr
  .size kept, .-kept
  .globl spilled
  .type spilled,%function
spilled:
  sub sp, #16
1:
  ldrb r2, [r1], #1
  ldrb r3, [r0], #1
  ldr r6, [sp, #8]
  mla r6, r2, r3, r6
  str r6, [sp, #8]
  subs r5, r5, #1
  bne 1b
  bx lr
  .size spilled, .-spilled
  .globl added
  .type added,%function
added:
  sub sp, #16
1:
  ldrb r2, [r1], #1
  ldrb r3, [r0], #1
  muls r2, r3, r2
  ldr r6, [sp]
  adds r6, r6, r2
  str r6, [sp]
  subs r5, r5, #1
  bne 1b
  bx lr
