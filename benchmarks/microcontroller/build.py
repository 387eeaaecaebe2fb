"""Compiles a model's C file for a board and measures its code and weights."""

import dataclasses
import math
import re
import shutil
from importlib import resources
from pathlib import Path

import numpy as np

from mnist_edge.runtimes import Tensor, compiled_c

from . import tools
from .boards import Board

_SECONDS = 120
# Reads only the harness's own sections by name: all other code and constants are the model's,
# those of the compiler's libraries that it calls included.
_SECTIONS = {"code": ".code", "weights": ".weights", "static": ".static_ram"}
_HARNESS = ("main.c", "board.ld")
_ELF = "program.elf"
# Room for any model, to measure one that is too large for the board.
_ROOMY = 2**28


@dataclasses.dataclass(frozen=True)
class Source:
    """A model in C.

    Attributes:
        file: The C file; its header lies beside it.
        prefix: Prefix of its functions.
        input_bytes: Size of one input.
        output_bytes: Size of one output.
    """

    file: Path
    prefix: str
    input_bytes: int
    output_bytes: int

    @property
    def header(self) -> Path:
        """The header."""
        return self.file.with_suffix(".h")


def read(file: Path) -> Source:
    """Reads what a model in C says of itself.

    Raises:
        InputError: It is no C file of export.
    """
    about = compiled_c.read(file, "Export the bundle again.")
    sizes = (_bytes(tensor) for tensor in (about.input, about.output))
    return Source(file, about.prefix, *sizes)


def _bytes(tensor: Tensor) -> int:
    return math.prod(int(size or 1) for size in tensor.shape) * np.dtype(tensor.dtype).itemsize


@dataclasses.dataclass(frozen=True)
class Program:
    """A linked program; sizes in bytes.

    Attributes:
        code: The model's code, with what it calls of the compiler's libraries.
        weights: The model's constants.
        static: The model's variables.
        scratch: The buffer that the caller gives; may depend on the core.
        images: Address behind the program, where the images go.
        fits: Whether the board has room for it.
    """

    code: int
    weights: int
    static: int
    scratch: int
    images: int
    fits: bool


def build(
    board: Board,
    source: Source,
    folder: Path,
    optimization: str,
    self_test: bool = False,
    no_digit: bool = False,
) -> Program:
    """Compiles and links a model with the harness that runs it.

    Args:
        board: The board.
        source: The model.
        folder: Where the program is written, as "program.elf".
        optimization: The compiler's flag without its hyphen, e.g. "O2".
        self_test: Whether to compile in and call the model's self-test.
        no_digit: Whether to compile in and call its likeness to a digit.

    Raises:
        tools.ToolFailed: The compiler failed.
    """
    for name in _HARNESS:
        text = resources.files(__package__).joinpath("board", name).read_text()
        (folder / name).write_text(text)
    shutil.copy(source.file, folder / "model.c")
    shutil.copy(source.header, folder)
    flags = _flags(board, optimization)
    prefix = source.prefix
    asked = {"SELF_TEST": self_test, "NO_DIGIT": no_digit}
    macros = [f"-D{prefix.upper()}_{name}" for name, is_asked in asked.items() if is_asked]
    _gcc(folder, [*flags, "-std=c99", *macros, "-c", "model.c", "-o", "model.o"])
    defines = {
        "MODEL_HEADER": f'"{source.header.name}"',
        "MODEL_PREDICT": f"{prefix}_predict_quantized",
        "MODEL_INPUT_BYTES": source.input_bytes,
        "MODEL_OUTPUT_BYTES": source.output_bytes,
        "MODEL_SCRATCH_BYTES": f"{prefix.upper()}_SCRATCH_BYTES",
        "MODEL_ALIGNMENT": f"{prefix.upper()}_SCRATCH_ALIGNMENT",
        "SERIAL": f"{board.serial}u",
    }
    if board.is_nrf51:
        defines["NRF51"] = 1
    if self_test:
        defines["MODEL_SELF_TEST"] = f"{prefix}_self_test"
    if no_digit:
        defines["MODEL_LIKENESS"] = f"{prefix}_likeness"
    given = [*(f"-D{name}={value}" for name, value in defines.items()), *macros]
    # Otherwise the compiler turns the harness's loops into calls of libc.
    own = ["-ffreestanding", "-fno-tree-loop-distribute-patterns"]
    _gcc(folder, [*flags, "-std=gnu99", *own, *given, "-c", "main.c", "-o", "main.o"])
    return _link(board, folder, flags)


def _flags(board: Board, optimization: str) -> list[str]:
    # Floats in software: the integer path needs none, and a core may lack the unit.
    return [
        *(f"-mcpu={board.cpu}", "-mthumb", "-mfloat-abi=soft", f"-{optimization}"),
        *("-ffunction-sections", "-fdata-sections"),
    ]


def _gcc(folder: Path, arguments: list[str]) -> None:
    tools.run([tools.GCC, *arguments], folder, _SECONDS)


def _link(board: Board, folder: Path, flags: list[str]) -> Program:
    fits = True
    try:
        _link_into(board, folder, flags, board.flash[1], board.ram[1])
    except tools.ToolFailed as error:
        if "overflowed" not in str(error) and "no room" not in str(error):
            raise
        fits = False
        _link_into(board, folder, flags, _ROOMY, _ROOMY)
    listed = tools.run([tools.SIZE, "-A", _ELF], folder, _SECONDS)
    sizes = {
        line.split()[0]: int(line.split()[1]) for line in listed.splitlines() if "." in line[:1]
    }
    measured = {key: sizes.get(name, 0) for key, name in _SECTIONS.items()}
    scratch = _symbol(folder, "main.o", "scratch")[1]
    return Program(
        **measured, scratch=scratch, images=_symbol(folder, _ELF, "images")[0], fits=fits
    )


def _symbol(folder: Path, file: str, name: str) -> tuple[int, int]:
    """Returns a symbol's address and its size, 0 if it has none."""
    listed = tools.run([tools.NM, "-S", file], folder, _SECONDS)
    found = re.search(rf"^(\w+) (?:(\w+) )?\w {name}$", listed, re.MULTILINE)
    if not found:
        raise tools.ToolFailed(f"{file} has no symbol {name}")
    return int(found[1], 16), int(found[2] or "0", 16)


def _link_into(board: Board, folder: Path, flags: list[str], flash: int, ram: int) -> None:
    places = {
        "flash_start": board.flash[0],
        "flash_bytes": flash,
        "ram_start": board.ram[0],
        "ram_bytes": ram,
    }
    symbols = [f"-Wl,--defsym={name}={value}" for name, value in places.items()]
    script = ["-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections", "-Wl,-T,board.ld"]
    _gcc(folder, [*flags, *symbols, *script, "main.o", "model.o", "-o", _ELF])
