"""Shared by all commands: flags from settings, one-line errors, held-back native logs.

Imports only the standard library, so that `--help` and usage errors are instant and the
benchmarks can use it on a device without Keras.
"""

import argparse
import contextlib
import dataclasses
import errno
import functools
import os
import re
import signal
import sys
import tempfile
import threading
import types
import typing
from collections.abc import Collection, Iterator
from typing import Any, NoReturn, TextIO, TypeVar

from mnist_edge.errors import (
    BAD_INPUT,
    GATE_FAILED,
    INTERRUPTED,
    OK,
    UNREAD,
    InputError,
    Terminated,
    did_you_mean,
)
from mnist_edge.safety import scratch

__all__ = ["BAD_INPUT", "GATE_FAILED", "INTERRUPTED", "OK", "UNREAD"]

Settings = TypeVar("Settings")

# The program's name in help texts, if a command was not started by `python -m MODULE`.
program: str | None = None
# Sent by the system, or when the terminal closes. Exit status: 128 plus the signal's number.
_ENDING_SIGNALS = ("SIGTERM", "SIGHUP")
# errno of an OSError -> what the user can do.
_REMEDIES = {
    errno.ENOSPC: "Free some space and run the command again",
    errno.EDQUOT: "Free some space and run the command again",
    errno.EFBIG: "Raise the limit on a file's size (ulimit -f) and run the command again",
    errno.EACCES: "Give a folder that you may write to, or change its permissions",
    errno.EPERM: "Give a folder that you may write to, or change its permissions",
    errno.EROFS: "Give a folder that can be written to",
    errno.EEXIST: "Give a folder",
    errno.ENOTDIR: "Give a folder",
    errno.EISDIR: "Give a file",
    errno.ENAMETOOLONG: "Give a shorter name",
}


def setting(default: Any, help: str, **argparse_options: Any) -> Any:
    """Returns a dataclass field that `settings_parser` turns into a flag.

    Args:
        default: The default, shown in the flag's help; False makes the flag a switch.
        help: The flag's help, without the default.
        **argparse_options: Further arguments of `add_argument`, e.g. `choices` or `metavar`.
    """
    return dataclasses.field(default=default, metadata={"help": help, **argparse_options})


def parser(description: str | None) -> argparse.ArgumentParser:
    """Returns a parser whose help shows `description`, a module docstring, unwrapped."""
    spec = sys.modules["__main__"].__spec__
    name = program or (f"python -m {spec.name.removesuffix('.__main__')}" if spec else None)
    return _Parser(
        prog=name, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


class _Parser(argparse.ArgumentParser):
    """Reports a usage error in one line, as all other errors."""

    def error(self, message: str) -> NoReturn:
        """Prints the message, with the name that was probably meant, and exits."""
        got, _, choices = message.partition(" (choose from ")
        wrong, names = got.split()[-1].strip("'"), re.findall(r"[^\s,'()]+", choices)
        if flag := re.match(r"unrecognized arguments:.*?(--\S+)", message):
            wrong, names = flag[1], list(self._option_string_actions)
        meant = did_you_mean(wrong, names)
        self.exit(BAD_INPUT, f"error: {message}. {meant or f'Run: {self.prog} --help'}\n")


def settings_parser(
    settings_class: type,
    description: str | None,
    positional: Collection[str] = (),
    without: Collection[str] = (),
) -> argparse.ArgumentParser:
    """Builds a parser from a settings dataclass, which defines all defaults.

    Args:
        settings_class: A frozen dataclass whose fields were made by `setting`.
        description: The command's description.
        positional: Names of fields that become optional positional arguments.
        without: Names of fields that get no flag.

    Returns:
        A parser whose namespace has one attribute per field.
    """
    result = parser(description)
    for field in dataclasses.fields(settings_class):
        if field.name in without:
            continue
        options = dict(field.metadata)
        if field.default is not None and field.default is not False:
            shown = field.default
            if isinstance(shown, tuple):
                shown = " ".join(map(str, shown)) or "none"
            options["help"] += f" (default: {shown})"
        if field.default is False:
            options["action"] = "store_true"
        elif field.type in (bool, bool | None):
            options["action"] = argparse.BooleanOptionalAction
        else:
            options.setdefault("type", _scalar_type(field.type))
        if field.name in positional:
            options.setdefault("nargs", "?")
            result.add_argument(field.name, default=field.default, **options)
        else:
            flag = "--" + field.name.rstrip("_").replace("_", "-")
            result.add_argument(flag, dest=field.name, default=field.default, **options)
    return result


def parse_settings(
    settings_class: type[Settings],
    description: str | None,
    argv: list[str] | None,
    positional: Collection[str] = (),
) -> Settings:
    """Parses `argv` into an instance of `settings_class`; see `settings_parser`."""
    namespace = settings_parser(settings_class, description, positional).parse_args(argv)
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in vars(namespace).items()}
    return settings_class(**values)


def settings_from(settings_class: type[Settings], function: str, values: dict) -> Settings:
    """Makes settings from the keyword arguments of a function of the Python API.

    A single value may be given for a setting of several.

    Raises:
        TypeError: There is no such setting.
        InputError: A number is text, or the settings are invalid.
    """
    fields = {
        field.name: field.type for field in dataclasses.fields(typing.cast(Any, settings_class))
    }
    for name, value in values.items():
        if name not in fields:
            meant = did_you_mean(name, fields)
            raise TypeError(f"{function}() has no argument {name!r}. {meant}".rstrip())
        scalar, is_text = _scalar_type(fields[name]), isinstance(value, str)
        if is_text and scalar in (int, float):
            raise InputError(f"{name} must be a number. Got: {value!r}.")
        if "tuple[" in str(fields[name]) and (is_text or isinstance(value, (int, os.PathLike))):
            values = values | {name: (value,)}
    return settings_class(**values)


def _scalar_type(annotation: Any) -> Any:
    """Returns the type of a single value: `int | None` -> int, `tuple[str, ...]` -> str."""
    while isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is tuple:
        annotation = typing.get_args(annotation)[0]
    return annotation


def printable(text: object) -> str:
    """Replaces control characters in untrusted text, so that a terminal does not interpret them."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def one_line(text: object, most: int | None = 300) -> str:
    """Makes untrusted text one printable line: whitespace collapsed, cut at `most` characters."""
    return " ".join(printable(text).split())[:most]


def in_words(error: BaseException) -> str:
    """Formats an exception as one line: its type, then its message."""
    # Keras tells the cause last, after the settings of all layers around it.
    message = one_line(str(error).rpartition("Exception encountered: ")[2])
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


@contextlib.contextmanager
def needing(extra: str) -> Iterator[None]:
    """Turns the failed import of a package into an `InputError` that names the extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name} is required and is not installed. Install 'mnist-edge[{extra}]'."
        ) from error


class Command(typing.Protocol):
    """A command's `main`: takes arguments (default: `sys.argv`), returns the exit status."""

    def __call__(self, argv: list[str] | None = None) -> int: ...


def command(main: Command) -> Command:
    """Decorates `main(argv) -> int` to end with an exit status, never with a traceback.

    - `InputError` and `OSError` (a full disk, a read-only folder) print one line to standard
      error, without control characters, and return 2.
    - Ctrl-C returns 130, SIGTERM 143, SIGHUP 129; unfinished work is undone in each case.
    - A closed pipe (`| head -1`) returns 141, as SIGPIPE would. If standard output was closed
      from the start, output is discarded without an error.

    Temporary files, including those of libraries, go to a folder of this process.
    """

    @functools.wraps(main)
    def guarded(argv: list[str] | None = None) -> int:
        open_streams()
        try:
            with _terminable(), scratch.temporary_files():
                status = main(argv)
            sys.stdout.flush()
            return status
        except BrokenPipeError:
            return UNREAD
        except (InputError, OSError) as error:
            say(f"error: {one_line(_explained(error), most=None)}")
            return BAD_INPUT
        except MemoryError as error:
            cause = one_line(error) or "out of memory"
            say(f"error: more memory is required. Got: {cause}. Give less data, or free some.")
            return BAD_INPUT
        except KeyboardInterrupt as error:
            terminated = isinstance(error, Terminated)
            say("terminated" if terminated else "interrupted")
            return 128 + error.args[0] if terminated else INTERRUPTED
        finally:
            _drop_unread()

    return guarded


def open_streams() -> None:
    """Opens closed standard streams, and makes them escape characters they can't encode.

    Otherwise a file opened later could get file descriptor 1 or 2, and prints and logs would
    be written to it.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, number)
            if nowhere != number:
                os.close(nowhere)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's streams have none
            stream.reconfigure(errors="backslashreplace")


def say(line: str) -> None:
    """Prints a line to standard error; ignores errors, as the terminal may be closed."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _drop_unread() -> None:
    """Discards output that can't be written, which Python would otherwise retry at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())
            stream.flush()


def _explained(error: InputError | OSError) -> str:
    """Returns an error's message; adds a remedy to errors of the operating system."""
    remedy = _REMEDIES.get(error.errno or 0) if isinstance(error, OSError) else None
    if not isinstance(error, OSError) or not remedy:
        return str(error)
    return f"{error.filename or 'a file'}: {error.strerror}. {remedy}."


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Makes ending signals raise `Terminated` in the block, so that unfinished work is undone."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python delivers signals to the main thread only
        return
    numbers = [getattr(signal, name) for name in _ENDING_SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    # `nohup` ignores SIGHUP.
    handled = [number for number in numbers if before[number] != signal.SIG_IGN]

    def terminate(number: int, frame: object) -> None:
        for each in handled:  # SIGHUP may arrive twice: don't interrupt the clean-up
            signal.signal(each, signal.SIG_IGN)
        raise Terminated(number)

    for number in handled:
        signal.signal(number, terminate)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])


@functools.cache
def visible_stderr() -> TextIO:
    """Returns standard error as of the first call, for a progress bar in `native_logs_held`."""
    return os.fdopen(os.dup(2), "w", errors="backslashreplace")


@contextlib.contextmanager
def native_logs_held() -> Iterator[None]:
    """Holds back output to standard error; prints it only if the block fails.

    TensorFlow logs several lines at start and dozens per conversion at any log level, and
    libraries print warnings that users can do nothing about.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        saved = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except InputError:
            raise  # its message is complete
        except BaseException:
            sys.stderr.flush()
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
