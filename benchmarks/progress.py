"""Shows progress bars on standard error if it is a terminal and tqdm is installed."""

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def bar(total: int, title: str) -> Iterator[Callable[[], object]]:
    """Shows a bar; yields a function to call after each of `total` steps."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda: None
        return
    with tqdm(total=total, desc=title, leave=False, disable=None) as shown:
        yield shown.update
