/* board.h - a processor in QEMU: text to its terminal, the exit code, files as
 * constants. */
#ifndef BOARD_H
#define BOARD_H

void put_text(const char *s);
void put_number(long n);
_Noreturn void leave(int code);

/* `count` bytes of a file, behind its first `skip`, as a constant. */
#define FILE_BYTES(name, file, skip, count)                                    \
  extern const char name[count];                                               \
  __asm__(".section .rodata." #name ",\"a\"\n.balign 64\n.globl " #name        \
          "\n" #name ": .incbin \"" file "\"," #skip "," #count                \
          "\n.previous\n")

#endif
