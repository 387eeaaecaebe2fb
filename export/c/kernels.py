"""The kernels: C sources in `kernels/`, each with a function, its struct, and what it needs."""

import functools
import re
from collections.abc import Iterable
from importlib import resources

_NEEDS = re.compile(r"\A/\* needs: ([\w ]+) \*/\n")
_FIELDS = re.compile(r"\s*((?:const )?\w+)\s+([^;]*);")
_NAME = re.compile(r"(\*?)([a-z]\w*)")
_STRUCT = re.compile(r"typedef struct \{(.*?)\} (\w+);", re.DOTALL)


@functools.cache
def source(name: str) -> tuple[tuple[str, ...], str]:
    """Returns the names of the kernels that one needs, and its source."""
    text = (resources.files(__package__) / "kernels" / f"{name}.c").read_text("utf-8")
    needs = _NEEDS.match(text)
    if not needs:
        return (), text
    return tuple(needs[1].split()), text[needs.end() :]


def closure(names: Iterable[str]) -> list[str]:
    """Returns kernels and all that they need, each after what it needs."""
    found: list[str] = []

    def add(name: str) -> None:
        if name not in found:
            for needed in source(name)[0]:
                add(needed)
            found.append(name)

    for name in names:
        add(name)
    return found


@functools.cache
def fields(struct: str, kernel: str) -> dict[str, str]:
    """Returns the type of each field of a kernel's struct, in order."""
    for name in closure([kernel]):
        for body, found in _STRUCT.findall(source(name)[1]):
            if found == struct:
                return dict(_declared(body))
    raise KeyError(struct)


def _declared(body: str) -> Iterable[tuple[str, str]]:
    """Yields the name and the type of each field, such as ("bias", "const int32_t *")."""
    for kind, names in _FIELDS.findall(body):
        for stars, field in _NAME.findall(names):
            yield field, f"{kind} {stars}".rstrip()
