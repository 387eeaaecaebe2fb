"""Progress bars on standard error, where it is a terminal and tqdm is installed."""

import contextlib


@contextlib.contextmanager
def bar(total, title, shown):
    """Shows a bar.

    Args:
        total: How many steps there are.
        title: What is being done.
        shown: Whether to show it where standard error is a terminal.

    Yields:
        A function to be called as each step is done; it does nothing where the bar is
        not shown or tqdm is not installed.
    """
    try:
        from tqdm import tqdm
    except ImportError:
        shown = False
    if not shown:
        yield lambda: None
        return
    with tqdm(total=total, desc=title, leave=False, disable=None) as shown_bar:
        yield shown_bar.update
