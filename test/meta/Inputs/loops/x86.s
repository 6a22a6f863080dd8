# Loops of x86-64 that multiply and add integers: the sum in a register, on the stack.
  .globl kept
  .type kept,@function
kept:
  subq $16, %rsp
1:
  movq 8(%rsp), %rsi
  movl (%rsi), %eax
  addq $4, %rsi
  movq %rsi, 8(%rsp)
  imull %ecx, %eax
  addl %eax, %edx
  decl %edi
  jne 1b
  ret
  .globl spilled
  .type spilled,@function
spilled:
  subq $16, %rsp
1:
  movl (%rsi), %eax
  imull %ecx, %eax
  addl 4(%rsp), %eax
  movl %eax, 4(%rsp)
  decl %edi
  jne 1b
  ret
