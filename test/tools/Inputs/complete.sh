# complete.sh FOLDER: what bash offers after some words of a dnnc command.
cd "$(dirname "$0")/.." || exit
. "$1/dnnc"
try() {
  COMP_WORDS=(dnnc "$@")
  COMP_CWORD=$#
  COMPREPLY=()
  _dnnc 2>/dev/null
  echo "$*: ${COMPREPLY[*]}"
}
try --emi
try --emit = a
try -emit ob
try -mc
try --device = nano
try --passe
try -O
try Inputs/ml
try --quant
