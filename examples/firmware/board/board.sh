# board.sh - read by scripts that set $lib to this folder. `board NAME` says what a
# machine of QEMU is: $target for dnnc and clang, $fpu, $start, $flash, $ram and how
# much of each there is, $qemu; `board_link FILE OBJECT...` links by $ld, with $stack
# bytes of stack, and fails when the board has not as much memory.
# shellcheck shell=sh disable=SC2034,SC2154,SC2086
ld=ld.lld stack=8192
cortex() {
  target="--target=$1 -mcpu=cortex-$2" arch=arm machine=$3
}
riscv() {
  target="--target=riscv32-unknown-elf -march=$1 -mabi=ilp32" arch=riscv32
  machine="virt -bios none" flash=0x80000000 ram=0x80400000 ram_size=0x7c00000 fpu=
}
board() {
  name=$1 flash=0 flash_size=0x400000 ram=0x20000000 ram_size=0x400000
  fpu=-Wa,-defsym,FPU=1
  case $1 in
  m0)  cortex thumbv6m-none-eabi m0 mps2-an385; fpu= ;;
  microbit) cortex thumbv6m-none-eabi m0 microbit; fpu=
       flash_size=0x40000 ram_size=0x4000 ;;
  m3)  cortex thumbv7m-none-eabi m3 mps2-an385; fpu= ;;
  m4)  cortex thumbv7em-none-eabihf m4 mps2-an386 ;;
  m7)  cortex thumbv7em-none-eabihf m7 mps2-an500 ;;
  m33) cortex thumbv8m.main-none-eabihf m33 mps2-an505
       flash=0x10000000 ram=0x38000000 flash_size=0x200000 ram_size=0x200000 ;;
  m55) cortex thumbv8.1m.main-none-eabihf m55 mps3-an547
       ram=0x21000000 flash_size=0x80000 ;;
  rv32) riscv rv32imac ;;
  rv32imc) riscv rv32imc ;;
  *) echo "no board $1" >&2; return 2 ;;
  esac
  start=$lib/start_$arch.s
  qemu="qemu-system-$arch -M $machine -nographic -monitor none -serial none
        -semihosting-config enable=on,target=native -kernel"
}
board_link() {
  file=$1
  shift
  $ld -T "$lib/board.ld" --defsym=FLASH=$flash --defsym=RAM=$ram \
    --defsym=STACK=$stack "$@" -o "$file" &&
    board_fits flash __flash_end $flash $flash_size &&
    board_fits RAM __stack_top $ram $ram_size
}
board_fits() {
  end=$(llvm-nm "$file" | sed -n "s/ . $2\$//p")
  [ $((0x$end - $3)) -le $(($4)) ] && return
  echo "$name: $((0x$end - $3)) bytes of $1, and it has $(($4))" >&2
  return 1
}
