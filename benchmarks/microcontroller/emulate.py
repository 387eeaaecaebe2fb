"""Runs a program in QEMU and reads what it sent.

The guest has no semihosting: the images are loaded behind the program, what it sends goes through
the serial port into a file, and it ends by a reset. So a bundle from elsewhere reaches no file.

With `-icount shift=0` QEMU's clock advances one nanosecond per instruction, and nothing else
moves it. SysTick counts that clock, so that its ticks count instructions.
"""

import dataclasses
from pathlib import Path

import numpy as np

from . import tools
from .boards import Board
from .tools import ToolFailed

_START, _END = 0x4547444D, 0x444E4521
_TOO_LONG = 2**32 - 1
# By how much the two loops of known length differ, in instructions.
_LOOPS_DIFFERENCE = 1_000_000
_SERIAL, _IMAGES = "serial", "images"


@dataclasses.dataclass(frozen=True)
class Run:
    """What a program sent.

    Attributes:
        golden_differing: Golden vectors whose bytes differ; 0 if there was no self-test.
        instructions: float64 `[n]`, per image; precise to one tick.
        stack: uint32 `[n]`, bytes of stack that the call took.
        outputs: uint8 `[n, output_bytes]`.
    """

    golden_differing: int
    instructions: np.ndarray
    stack: np.ndarray
    outputs: np.ndarray


def emulate(
    board: Board, folder: Path, images: np.ndarray, at: int, output_bytes: int, seconds: int
) -> Run:
    """Runs "program.elf" of a folder on images.

    Args:
        board: The board.
        folder: Where the program lies.
        images: uint8 `[n, input_bytes]`.
        at: Address of the images.
        output_bytes: Size of one output.
        seconds: Maximum time.

    Raises:
        ToolFailed: QEMU failed or took too long, the program crashed or sent something else, or
            the clock does not count instructions as it must.
    """
    (folder / _IMAGES).write_bytes(np.array([len(images), 0, 0, 0], "<u4").tobytes())
    with (folder / _IMAGES).open("ab") as file:
        file.write(images.tobytes())
    (folder / _SERIAL).unlink(missing_ok=True)
    command = [
        *(tools.QEMU, "-machine", board.machine, "-nodefaults", "-display", "none"),
        *("-monitor", "none", "-serial", f"file:{_SERIAL}", "-no-reboot"),
        *("-icount", "shift=0", "-accel", "tcg,tb-size=64", "-kernel", "program.elf"),
        *("-device", f"loader,file={_IMAGES},addr={at},force-raw=on"),
    ]
    tools.run(command, folder, seconds)
    return parse(board, (folder / _SERIAL).read_bytes(), len(images), output_bytes)


def parse(board: Board, sent: bytes, count: int, output_bytes: int) -> Run:
    """Reads what a program sent, which must be exactly as the harness sends it.

    Args:
        board: The board that it ran on.
        sent: The bytes.
        count: Number of images.
        output_bytes: Size of one output.

    Raises:
        ToolFailed: It is anything else.
    """
    head = np.dtype([(name, "<u4") for name in ("start", "short", "long", "golden")])
    call = np.dtype([("ticks", "<u4"), ("stack", "<u4"), ("output", "u1", (output_bytes,))])
    expected = head.itemsize + count * call.itemsize + np.dtype("<u4").itemsize
    if len(sent) < expected:
        raise ToolFailed(f"the program ended early: {len(sent)} of {expected} bytes were sent")
    (first,) = np.frombuffer(sent, head, 1)
    (last,) = np.frombuffer(sent[-4:], "<u4")
    if len(sent) > expected or first["start"] != _START or last != _END:
        raise ToolFailed("the program sent something else than its results")
    off = (int(first["long"]) - int(first["short"])) * board.instructions_per_tick
    if abs(off - _LOOPS_DIFFERENCE) > board.instructions_per_tick:  # one tick: where a loop starts
        raise ToolFailed(f"{_LOOPS_DIFFERENCE:,} instructions were counted as {off:,.0f}")
    calls = np.frombuffer(sent, call, count, head.itemsize)
    for name, cause in (("ticks", "a call passed the timer's end"), ("stack", "the stack is full")):
        if (calls[name] == _TOO_LONG).any():
            raise ToolFailed(cause)
    instructions = calls["ticks"] * float(board.instructions_per_tick)
    return Run(int(first["golden"]), instructions, calls["stack"], calls["output"])
