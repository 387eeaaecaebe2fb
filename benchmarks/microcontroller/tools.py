"""Runs the compiler and the emulator: in a folder, with limits on time, memory and files."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mnist_edge.cli import one_line
from mnist_edge.errors import InputError

GCC, NM, SIZE = "arm-none-eabi-gcc", "arm-none-eabi-nm", "arm-none-eabi-size"
QEMU = "qemu-system-arm"
PACKAGES = "gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"  # Debian's and Ubuntu's
# QEMU took 70 MB resident; the compiler at -O3 on 300 kB of C 200 MB. Both reserve more.
_MEMORY_KB = 2_000_000
_FILE_BLOCKS = 200_000  # of 512 bytes: 100 MB
# A process whose parent was killed ends by its processor time.
_LIMITED = f'ulimit -c 0; ulimit -v {_MEMORY_KB}; ulimit -f {_FILE_BLOCKS}; ulimit -t "$1"; shift; '


class ToolFailed(Exception):
    """A tool failed or took too long; the message is the cause."""


def require() -> None:
    """Raises `InputError` if the compiler or the emulator is not installed."""
    missing = [name for name in (GCC, QEMU) if not shutil.which(name)]
    if missing:
        raise InputError(
            f"{' and '.join(missing)} must be installed. Got: nothing of this name. "
            f"Run: apt-get install {PACKAGES}"
        )


def run(command: Sequence[str], folder: Path, seconds: int) -> str:
    """Runs a command in a folder.

    Args:
        command: The command; its files by names within the folder.
        folder: Where it runs.
        seconds: Maximum time, of the clock and of the processor.

    Returns:
        Its standard output.

    Raises:
        ToolFailed: It took too long, or its exit status is not 0.
    """
    limited = ["sh", "-c", _LIMITED + 'exec "$@"', "sh", str(seconds), *command]
    try:
        done = subprocess.run(
            limited,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        raise ToolFailed(f"{command[0]} took longer than {seconds} s") from None
    if done.returncode:
        lines = done.stderr.splitlines()
        wrong = [line for line in lines if re.search("error:|overflow|undefined", line)] or lines[
            -1:
        ]
        raise ToolFailed(f"{command[0]}: {one_line(' '.join(wrong[:2]) or done.returncode)}")
    return done.stdout


def version(name: str) -> str:
    """Returns the first line that a tool says of itself."""
    return one_line(run([name, "--version"], Path(), 10).partition("\n")[0])
