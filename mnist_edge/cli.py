"""What every command shares: settings to flags, errors to one line, a quiet start.

Standard library only at import, so that a command's `--help` and its usage errors
answer at once and the benchmarks can use it on a device without Keras.
"""

import argparse
import contextlib
import dataclasses
import errno
import functools
import os
import signal
import sys
import tempfile
import threading
import types
import typing
from collections.abc import Collection, Iterator
from typing import Any, TextIO, TypeVar

from mnist_edge.errors import (
    BAD_INPUT,
    GATE_FAILED,
    INTERRUPTED,
    OK,
    UNREAD,
    InputError,
    Terminated,
)
from mnist_edge.safety import scratch

__all__ = ["BAD_INPUT", "GATE_FAILED", "INTERRUPTED", "OK", "UNREAD"]

Settings = TypeVar("Settings")

# How a command was started, where it was not by `python -m` of its own module.
program: str | None = None
# To end, by the system or by the terminal that goes away; the exit status is 128 more.
_ENDING_SIGNALS = ("SIGTERM", "SIGHUP")
# What to do about an error of the operating system, by its number.
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
    """A dataclass field that `settings_parser` turns into a flag.

    Args:
        default: The setting's default; the flag's help shows it, unless it is False:
            then the flag is a switch.
        help: The flag's help, without the default.
        **argparse_options: More for `add_argument`, `choices` or `metavar` say.
    """
    return dataclasses.field(default=default, metadata={"help": help, **argparse_options})


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that shows `description`, a module's docstring, as it stands."""
    spec = sys.modules["__main__"].__spec__
    name = program or (f"python -m {spec.name.removesuffix('.__main__')}" if spec else None)
    return argparse.ArgumentParser(
        prog=name, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def settings_parser(
    settings_class: type,
    description: str | None,
    positional: Collection[str] = (),
    without: Collection[str] = (),
) -> argparse.ArgumentParser:
    """Builds a parser from a settings dataclass, the one place that holds the defaults.

    Args:
        settings_class: A frozen dataclass whose fields were made by `setting`.
        description: The command's description.
        positional: Names of the fields that are optional positional arguments.
        without: Names of the fields that get no flag.

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


def _scalar_type(annotation: Any) -> Any:
    """The type that reads one word: `int | None` -> int, `tuple[str, ...]` -> str."""
    while isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is tuple:
        annotation = typing.get_args(annotation)[0]
    return annotation


def printable(text: object) -> str:
    """Text from elsewhere as a terminal shows it and does not obey it."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def one_line(text: object, most: int | None = 300) -> str:
    """Text from elsewhere in one line, its blanks made one, cut at `most` characters."""
    return " ".join(printable(text).split())[:most]


def in_words(error: BaseException) -> str:
    """An exception in one line, its type first."""
    said = one_line(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


@contextlib.contextmanager
def needing(extra: str) -> Iterator[None]:
    """Turns the import of a package that is not installed into a line that names the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name} is required and is not installed. Install 'mnist-edge[{extra}]'."
        ) from error


class Command(typing.Protocol):
    """A command's `main`: takes arguments, or those it was started with; gives the status."""

    def __call__(self, argv: list[str] | None = None) -> int: ...


def command(main: Command) -> Command:
    """Makes `main(argv) -> int` end as every command does: a status, never a traceback.

    `InputError` and the operating system's errors (a full disk, a folder that can't be
    written) become one line on standard error, free of what steers a terminal, and status 2;
    Ctrl-C becomes 130, and being asked to end 143 (SIGTERM) or 129 (SIGHUP), what was begun
    undone as after Ctrl-C. Temporary files, libraries' too, are in a folder of this process.
    Where nobody reads the output to its end (`| head -1`), the command ends with 141, as by
    SIGPIPE; an output that was closed before is no error, and nobody sees what is printed.
    """

    @functools.wraps(main)
    def guarded(argv: list[str] | None = None) -> int:
        open_streams()
        try:
            with _terminable(), scratch.used():
                status = main(argv)
            sys.stdout.flush()
            return status
        except BrokenPipeError:
            return UNREAD
        except (InputError, OSError) as error:
            say(f"error: {one_line(_explained(error), most=None)}")
            return BAD_INPUT
        except MemoryError as error:
            cause = one_line(error) or "no more"
            say(f"error: memory for it all is required. Got: {cause}. Give less, or free some.")
            return BAD_INPUT
        except KeyboardInterrupt as error:
            terminated = isinstance(error, Terminated)
            say("terminated" if terminated else "interrupted")
            return 128 + error.args[0] if terminated else INTERRUPTED
        finally:
            _drop_unread()

    return guarded


def open_streams() -> None:
    """Opens what of the standard streams is closed, and has them print any text.

    A file that is opened later would else come to be number 1 or 2, and be written into by
    whatever prints or logs.
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
        if hasattr(stream, "reconfigure"):  # a notebook's has not
            stream.reconfigure(errors="backslashreplace")


def say(line: str) -> None:
    """Prints to standard error, where anybody listens: the terminal may be what went away."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _drop_unread() -> None:
    """Drops what can't be written to the standard streams: Python tries again as it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())
            stream.flush()


def _explained(error: InputError | OSError) -> str:
    """An error's line; the system's errors get a remedy."""
    remedy = _REMEDIES.get(error.errno or 0) if isinstance(error, OSError) else None
    if not isinstance(error, OSError) or not remedy:
        return str(error)
    return f"{error.filename or 'a file'}: {error.strerror}. {remedy}."


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Within the block an ending signal raises `Terminated`: what is half-done is undone."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python gives signals to the main thread alone
        return
    numbers = [getattr(signal, name) for name in _ENDING_SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    heard = [number for number in numbers if before[number] != signal.SIG_IGN]  # not by `nohup`

    def terminate(number: int, frame: object) -> None:
        for each in heard:  # a terminal's end may be told twice: undoing is not cut short
            signal.signal(each, signal.SIG_IGN)
        raise Terminated(number)

    for number in heard:
        signal.signal(number, terminate)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


@functools.cache
def visible_stderr() -> TextIO:
    """Standard error as it was at the first call, for a progress bar within a held block."""
    return os.fdopen(os.dup(2), "w", errors="backslashreplace")


@contextlib.contextmanager
def native_logs_held() -> Iterator[None]:
    """Holds back what is written to standard error; shows it if the block fails.

    TensorFlow logs several lines at start and dozens per conversion, whatever its log level
    is set to, and libraries warn of what their users can't change.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        saved = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except InputError:
            raise  # its line says all
        except BaseException:
            sys.stderr.flush()
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
