#!/usr/bin/env python3
"""As text, two products of bytes, each with weights of its own."""
weights = bytes((i * 37 + i // 255) & 255 for i in range(2 * 192 * 256))
print(f"""const @w : i8[2,192,256] = hex "{weights.hex()}"
func @main(%x: u8[2,65,192]) -> (i32[2,65,256]) {{
  %y = einsum %x, @w {{equation="bmk,bkn->bmn", to=i32}}
  return %y
}}""")
