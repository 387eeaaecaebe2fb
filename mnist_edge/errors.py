"""Exceptions, exit statuses, and the question after a misspelled name."""

import difflib
from collections.abc import Iterable
from typing import Any

# A command ended by a signal returns 128 plus the signal's number, e.g. 143 for SIGTERM.
OK, GATE_FAILED, BAD_INPUT, INTERRUPTED, UNREAD = 0, 1, 2, 130, 141


class InputError(ValueError):
    """Bad usage or bad input. One line: what is required, what was given, what to do."""


class GateError(Exception):
    """Required artifacts that can't be made or failed the gate, one line each.

    Attributes:
        exported: What was written all the same, as `export_model` returns it; None if nothing.
    """

    exported: Any = None


class Terminated(KeyboardInterrupt):
    """The command received a signal to end; its number is the argument."""


def did_you_mean(got: str, names: Iterable[str]) -> str:
    """Returns the name that is most like a misspelled one as a question, or "".

    Of paths the last parts are compared.
    """
    known = {name.rpartition("/")[2]: name for name in names}
    close = difflib.get_close_matches(got.rpartition("/")[2], known, n=1)
    return f"Did you mean {known[close[0]]}?" if close else ""
