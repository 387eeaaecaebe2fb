"""What can go wrong, and the exit status of each."""

# 128 and the signal's number where a signal ends a command: 143 for SIGTERM, say.
OK, GATE_FAILED, BAD_INPUT, INTERRUPTED, UNREAD = 0, 1, 2, 130, 141


class InputError(ValueError):
    """Bad usage or bad input: what was required, what came, what to do, in one line."""


class GateError(Exception):
    """Artifacts that are not what they should be; a line each. Nothing was written."""


class Terminated(KeyboardInterrupt):
    """The command was asked to end, by the signal whose number this holds."""
