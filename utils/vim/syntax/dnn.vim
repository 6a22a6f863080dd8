" Text IR of dnnc. ln -s .../utils/vim ~/.vim/pack/dnnc/start/dnnc
if exists("b:current_syntax")
  finish
endif
syntax match dnnComment "//.*" contains=dnnTest,@Spell
syntax match dnnTest contained "\v(RUN|CHECK[A-Z-]*|expected-(error|warning|note)(\@\S+)?):?"
syntax keyword dnnKeyword module form const func do else loc axis
syntax keyword dnnForm graph kernels planned
syntax keyword dnnData splat dense hex file elided
syntax keyword dnnControl kernel if loop scan yield return
syntax match dnnType "\v<(f32|f64|f16|bf16|[iu](8|16|32|64)|bool)>"
syntax match dnnValue "\v\%([A-Za-z0-9_.$]+|\"[^\"]*\")"
syntax match dnnSymbol "\v\@([A-Za-z0-9_.$]+|\"[^\"]*\")"
syntax match dnnNumber "\v<-?[0-9][0-9.]*(e[-+]?[0-9]+)?>"
syntax match dnnNumber "\v<0x[0-9a-fA-F]+>"
syntax match dnnAttr "\v<\w+\ze\="
syntax region dnnString start=/"/ skip=/\\./ end=/"/ oneline
highlight default link dnnComment Comment
highlight default link dnnTest SpecialComment
highlight default link dnnKeyword Keyword
highlight default link dnnForm Constant
highlight default link dnnData Keyword
highlight default link dnnControl Statement
highlight default link dnnType Type
highlight default link dnnValue Identifier
highlight default link dnnSymbol Function
highlight default link dnnNumber Number
highlight default link dnnAttr PreProc
highlight default link dnnString String
let b:current_syntax = "dnn"
