"""words.py CC: a model with an input for every keyword of C and C++ and every
name that a compiler, <stddef.h> and <stdint.h> define."""
import re
import subprocess
import sys

KEYWORDS = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char
char8_t char16_t char32_t class co_await co_return co_yield compl concept const
const_cast consteval constexpr constinit continue decltype default delete do
double dynamic_cast else enum explicit export extern false float for friend goto
if inline int long mutable namespace new noexcept not not_eq nullptr operator or
or_eq private protected public register reinterpret_cast requires restrict return
short signed sizeof static static_assert static_cast struct switch template this
thread_local throw true try typedef typeid typename typeof typeof_unqual union
unsigned using virtual void volatile wchar_t while xor xor_eq
_Alignas _Alignof _Atomic _BitInt _Bool _Complex _Decimal128 _Decimal32
_Decimal64 _Generic _Imaginary _Noreturn _Static_assert _Thread_local
ptrdiff_t max_align_t offsetof size_t NULL nullptr_t unreachable
DNN_OK DNN_E_ARENA DNN_E_NULL arena words_run words_model WORDS_H main
WORDS_ARENA_SIZE WORDS_ARENA_ALIGN WORDS_WEIGHTS_SIZE WORDS_STACK_SIZE
exp sin log index remove signal printf
"""
HEADERS = "#include <stddef.h>\n#include <stdint.h>\n"


def say(*flags):
    return subprocess.run([sys.argv[1], *flags, "-E", "-x", "c", "-"], text=True,
                          input=HEADERS, check=True,
                          stdout=subprocess.PIPE).stdout


names = set(KEYWORDS.split())
for std in ["-std=gnu17", "-std=c99"]:
    names |= set(re.findall(r"#define (\w+)", say(std, "-dM")))
    names |= set(re.findall(r"typedef [^;]*?\b(\w+)\s*;", say(std)))
names = sorted(names)
assert {"int8_t", "uint_fast16_t", "INT64_C", "SIZE_MAX", "linux"} <= set(names)
print("func @main(%s) -> (f32[2,2]) {" %
      ", ".join('%%"%s": f32[2,2]' % n for n in names))
print('  %%1 = add %%"%s", %%"%s" : f32[2,2]' % (names[0], names[-1]))
print("  return %1")
print("}")
