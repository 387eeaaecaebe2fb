"""Make each row in a process of its own, so that a crash fails one row.

Not in `__main__`, whose functions a spawned process can't import.
"""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from mnist_edge import cli
from mnist_edge.errors import InputError

from . import rows
from .rows import Row


def make(name: str, seed: int, options: dict[str, Any]) -> Row:
    """Makes a row, as `rows.make`, in a process of its own.

    Raises:
        InputError: It fails, or its process ends.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    arguments = (sender, rows.make, name, seed, options)
    process = context.Process(target=_send, args=arguments)
    process.start()
    sender.close()
    try:
        answer = receiver.recv()
    except EOFError:
        raise InputError("its process ended") from None
    finally:
        process.kill()
        process.join()
    if isinstance(answer, str):
        raise InputError(answer)
    return answer


def _send(sender: Connection, make: Callable[..., Row], *arguments: Any) -> None:
    """In the process of a row: sends it, or why it can't be made."""
    try:
        answer: Row | str = make(*arguments)
    except Exception as error:  # Keras may raise anything
        answer = cli.in_words(error)
    sender.send(answer)
