"""Make each row in a process of its own, so that a crash fails one row.

Not in `__main__`, whose functions a spawned process can't import.
"""

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mnist_edge import schema
from mnist_edge.errors import InputError
from mnist_edge.safety import scratch

from . import rows
from .rows import Row, Rows


def make(name: str, seed: int, options: dict[str, Any]) -> Row:
    """Makes a row, as `rows.make`, in a process of its own.

    Raises:
        InputError: The process fails.
    """
    with scratch.folder() as folder:
        path = folder / "row.json"
        process = multiprocessing.get_context("spawn").Process(
            target=_write, args=(path, rows.make, name, seed, options)
        )
        process.start()
        try:
            process.join()
        finally:
            process.kill()
        if not path.exists():
            raise InputError(f"its process ended with status {process.exitcode}")
        return schema.read(Rows, path, "").rows[name]


def _write(
    path: Path, make_row: Callable[..., Row], name: str, seed: int, options: dict[str, Any]
) -> None:
    schema.write(path, Rows(rows={name: make_row(name, seed, options)}))
