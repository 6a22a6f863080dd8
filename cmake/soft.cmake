# runtime/soft.c as LLVM bitcode that says nothing of C's types: an object takes
# the widths of wchar_t and enum from the flags of what is linked into it, and a
# linker then warns of programs that chose others.
#   cmake -DCLANG=clang -DLLVM_AS=llvm-as -DTRIPLE=t -DFLAGS=-Dx -DIN=soft.c
#         -DOUT=soft.bc -P soft.cmake
execute_process(COMMAND ${CLANG} --target=${TRIPLE} -std=c99 -Os -w
  -ffreestanding -fno-builtin -fno-stack-protector ${FLAGS} -emit-llvm -S ${IN} -o -
  OUTPUT_VARIABLE text RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "${CLANG} cannot compile ${IN} for ${TRIPLE}")
endif()
string(REGEX REPLACE "\n!llvm[.]module[.]flags[^\n]*" "" text "${text}")
file(WRITE ${OUT}.ll "${text}")
execute_process(COMMAND ${LLVM_AS} ${OUT}.ll -o ${OUT} RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "${LLVM_AS} cannot read what ${CLANG} wrote")
endif()
