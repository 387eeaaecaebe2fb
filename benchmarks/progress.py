"""Shows progress bars on standard error if it is a terminal and tqdm is installed."""

import contextlib
from collections.abc import Iterator
from typing import Protocol

_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


class Step(Protocol):
    """Call after each step, with its share of the bar's total and the name of what comes."""

    def __call__(self, size: float = 1, name: str = "") -> object:
        """Moves the bar on, and shows the name."""


@contextlib.contextmanager
def bar(total: float, title: str) -> Iterator[Step]:
    """Shows a bar for steps whose sizes add up to `total`; yields a function to call after each."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda size=1, name="": None
        return
    with tqdm(total=total, desc=title, leave=False, disable=None, bar_format=_FORMAT) as shown:

        def step(size: float = 1, name: str = "") -> None:
            shown.set_postfix_str(name, refresh=False)
            shown.update(size)

        yield step
