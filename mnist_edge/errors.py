"""Exceptions and exit statuses."""

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
