"""Exceptions and exit statuses."""

# A command ended by a signal returns 128 plus the signal's number, e.g. 143 for SIGTERM.
OK, GATE_FAILED, BAD_INPUT, INTERRUPTED, UNREAD = 0, 1, 2, 130, 141


class InputError(ValueError):
    """Bad usage or bad input. One line: what is required, what was given, what to do."""


class GateError(Exception):
    """Artifacts that failed the gate, one per line of the message. Nothing was written."""


class Terminated(KeyboardInterrupt):
    """The command received a signal to end; its number is the argument."""
