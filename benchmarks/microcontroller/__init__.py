"""The C file of a bundle on emulated microcontrollers: size, memory, instructions, equal bytes."""
