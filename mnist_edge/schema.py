"""Typed records in JSON: dataclasses that are validated when read.

    record = schema.read(Manifest, path, "Run: python -m export")

A record is a frozen dataclass. Its fields may be annotated as `str`, `int`, `float`, `bool`,
another record, `tuple[X, ...]`, `dict[str, X]`, `X | None`, or one of the validated types below.
A field with a default may be missing from the JSON. Unknown keys are ignored, or refused if the
class sets `CLOSED`. Needs NumPy and the standard library only.
"""

import dataclasses
import functools
import re
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from mnist_edge import bundle
from mnist_edge.cli import one_line
from mnist_edge.errors import InputError

Kind = TypeVar("Kind")

# Version of the records; increased whenever a key is removed or changes its meaning.
VERSION = 3
# Largest accepted integer: a float represents it exactly.
LARGEST = 2**53
_SHOWN = 60  # characters of an invalid value in an error message


class SchemaError(ValueError):
    """JSON that does not match its record: the key, what it must be, what it is."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """Base class of the project's JSON files; two keys identify them."""

    schema: int = VERSION
    project: str = bundle.PROJECT


@dataclasses.dataclass(frozen=True)
class Check:
    """A validator: the requirement in words, and the function that tests it."""

    words: str
    accepts: Callable[[Any], bool]


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and -LARGEST <= typing.cast(float, value) <= LARGEST


def _is_text(value: object, most: int = 4096) -> bool:
    return isinstance(value, str) and len(value) <= most and (not value or value.isprintable())


def integer(least: int = 0, most: int = LARGEST) -> Check:
    """Returns a check for integers from `least` to `most`."""
    words = f"an integer of {least} or more" + (f", at most {most:,}" if most < LARGEST else "")
    return Check(words, lambda value: type(value) is int and least <= value <= most)


def number(least: float = 0, most: float = LARGEST) -> Check:
    """Returns a check for numbers from `least` to `most`; NaN fails."""
    words = (
        f"a number, {least:g} to {most:,g}" if most < LARGEST else f"a number of {least:g} or more"
    )
    return Check(words, lambda value: _is_number(value) and least <= value <= most)


def one_of(*values: str) -> Check:
    """Returns a check for one of these strings."""
    return Check(" or ".join(values), lambda value: isinstance(value, str) and value in values)


def file_name(*endings: str) -> Check:
    """Returns a check for file names without a folder that have one of these endings."""
    return Check(
        f"the name of a file in the same folder that ends in {' or '.join(endings)}",
        lambda value: _NAME.accepts(value) and value.endswith(endings),
    )


_NAME = Check(
    "a name: letters, digits, points, hyphens",
    lambda value: _is_text(value, 64) and re.fullmatch(r"\w[\w.+-]*", value) is not None,
)
_TEXT = Check("printable text", _is_text)
Text = Annotated[str, _TEXT]
Name = Annotated[str, _NAME]
Sha256 = Annotated[
    str,
    Check(
        "64 hexadecimal digits",
        lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None,
    ),
]
# Any name that a file may have; may contain unprintable characters.
PathText = Annotated[
    str,
    Check(
        "a path or a name of 1 to 4,096 characters",
        lambda value: isinstance(value, str) and 0 < len(value) <= 4096 and "\0" not in value,
    ),
]
Count = Annotated[int, integer()]
CountFrom1 = Annotated[int, integer(1)]
Seed = Annotated[int, integer(0, 2**32 - 1)]
Length = Annotated[int, integer(1, 2**24)]  # of one dimension of a tensor
Share = Annotated[float, number(0, 1)]
NotNegative = Annotated[float, number()]
Positive = Annotated[
    float, Check("a number above 0", lambda value: _is_number(value) and value > 0)
]

_PLAIN = {
    str: Check("text", lambda value: isinstance(value, str)),
    bool: Check("true or false", lambda value: isinstance(value, bool)),
    int: Check("an integer", lambda value: type(value) is int),
    float: Check("a number", _is_number),
}


def read(kind: type[Kind], path: Path, remedy: str) -> Kind:
    """Reads a record from an untrusted JSON file.

    Args:
        kind: The record's class, a `Record`.
        path: The file.
        remedy: What to do if it is missing or wrong; the last sentence of the error message.

    Raises:
        InputError: It is missing, not such a record, or of another version.
    """
    document = bundle.read_json(path, (), remedy)
    try:
        for key, expected in (("schema", VERSION), ("project", bundle.PROJECT)):
            if document.get(key) != expected:
                raise _wrong(key, str(expected), document.get(key, "nothing"))
        return decode(kind, document)
    except SchemaError as error:
        raise InputError(f"{path}: {error}. {remedy}") from None


def write(path: Path, record: Any) -> None:
    """Writes a record as indented JSON with a final newline."""
    bundle.write_json(path, encode(record))


def decode(kind: type[Kind], value: object, where: str = "") -> Kind:
    """Validates parsed JSON and converts it to a record.

    Args:
        kind: The record's class, or another type that a record's field may have.
        value: The parsed JSON.
        where: Its key, for error messages.

    Raises:
        SchemaError: The value is not of that type.
    """
    return typing.cast(Kind, _decode(kind, value, where))


def encode(record: Any) -> dict[str, Any]:
    """Converts a record to a dictionary for JSON."""
    return dataclasses.asdict(record)


@functools.cache
def _fields(kind: type) -> dict[str, tuple[Any, bool]]:
    """Returns field name -> (annotation, whether the field may be missing)."""
    hints = typing.get_type_hints(kind, include_extras=True)
    missing = dataclasses.MISSING
    return {
        field.name: (
            hints[field.name],
            field.default is not missing or field.default_factory is not missing,
        )
        for field in dataclasses.fields(kind)
    }


def _decode(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _decode_record(typing.cast(type, kind), value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        _require(arguments[1], value, where)
        return value
    if origin in (types.UnionType, typing.Union):  # X | None
        (inner,) = (one for one in arguments if one is not type(None))
        return None if value is None else _decode(inner, value, where)
    if origin is tuple:
        return _decode_tuple(arguments, value, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise _wrong(where, "an object", value)
        for key in value:
            _require(_TEXT, key, f"a key of {where}")
        return {
            key: _decode(arguments[1], one, f"{where}.{one_line(key, 20)}")
            for key, one in value.items()
        }
    _require(_PLAIN[kind], value, where)
    return value


def _decode_record(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(where, "an object", value)
    values = {}
    for name, (hint, is_optional) in _fields(kind).items():
        place = f"{where}.{name}" if where else name
        if name in value:
            values[name] = _decode(hint, value[name], place)
        elif not is_optional:
            raise SchemaError(f"{place} is missing")
    unknown = (
        [name for name in value if name not in values] if getattr(kind, "CLOSED", False) else []
    )
    if unknown:
        raise _wrong(where, "an object with known keys only", one_line(unknown[0], _SHOWN))
    return kind(**values)


def _decode_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    """Decodes a list: of any length for `tuple[X, ...]`, of two for `tuple[X, Y]`."""
    any_length = arguments[-1] is Ellipsis
    if not isinstance(value, list) or not (any_length or len(value) == len(arguments)):
        raise _wrong(where, "a list" if any_length else f"a list of {len(arguments)}", value)
    kinds = arguments[:1] * len(value) if any_length else arguments
    return tuple(
        _decode(kind, one, f"{where}[{i}]")
        for i, (kind, one) in enumerate(zip(kinds, value, strict=True))
    )


def _require(check: Check, value: object, where: str) -> None:
    if not check.accepts(value):
        raise _wrong(where, check.words, value)


def _wrong(where: str, requirement: str, value: object) -> SchemaError:
    shown = value
    if isinstance(value, list | dict):
        shown = f"{type(value).__name__} of {len(value)}"
    elif isinstance(value, int) and abs(value) > LARGEST:
        shown = f"an integer of {value.bit_length()} bits"  # printing its digits may take long
    return SchemaError(f"{where or 'it'} must be {requirement}. Got: {one_line(shown, _SHOWN)}")
