"""Peak memory of a process and of those that it starts."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from mnist_edge.safety import limits

# A peak of a large array lasts longer.
_POLL_SECONDS = 0.2


def held_by_tree(pid: int | str) -> int:
    """Returns the bytes that a process and all its children hold; 0 if the system does not say."""
    total = limits.held_bytes(pid) or 0
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children = (task / "children").read_text().split()
            total += sum(map(held_by_tree, children))
    return total


@contextlib.contextmanager
def measured() -> Iterator[list[int]]:
    """Yields a list whose only item is this process tree's peak memory so far, in bytes."""
    peak, ended = [0], threading.Event()

    def poll() -> None:
        while not ended.wait(_POLL_SECONDS):
            peak[0] = max(peak[0], held_by_tree(os.getpid()))

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()
