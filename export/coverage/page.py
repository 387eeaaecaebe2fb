"""The page: kinds of models against variants, with the reasons as footnotes."""

import re

from ..variants import VARIANTS
from .kinds import APPLICATIONS, KINDS, Kind
from .rows import Cell, Row

_HEAD = """\
# Coverage

Made by `python -m export.coverage` and `python -m export.coverage --applications`, which train one
model per row a little on small data (`export/coverage/samples.py`; digits are moved halfway to the
average of their class): the last layer by least squares on what the other layers, with random
weights, make of the data; Keras's applications four epochs before, EfficientNet eight, VGG16 none.
So a model is right on most images within seconds, and what quantization loses shows. Weights from a
long training have wider ranges, and may lose more. Export makes and checks every variant as for any
other model ([export.md](export.md)); models of other tasks are in [tasks.md](tasks.md).

- **ok**: written as named; every check passed.
- **mixed** and the like: it failed the gate as named; the [fallback](export.md#fallback) in its
  place passed.
- **no**: nothing was written in its place.

Sizes, times and memory are of all variants together, on two cores: kB written, seconds from the
model to the last file, peak MB of all processes.
"""
# Advice at the end of an error, which is the same each time.
_ADVICE = re.compile(r"\. Replace the layer, or .*| Export it again$")


def page(rows: dict[str, Row]) -> str:
    """Formats the page.

    Args:
        rows: The rows by the names of their kinds.
    """
    notes: dict[str, int] = {}
    parts = [_HEAD]
    for title, kinds in (("Kinds of layers", KINDS), ("Keras's applications", APPLICATIONS)):
        parts.append(f"## {title}\n\n{_table(kinds, rows, notes)}")
    made = [row.versions for row in rows.values()]
    if made:
        words = ", ".join(f"{name} {version}" for name, version in made[-1].items())
        parts.append(f"Versions: {words}.\n")
    parts.append("\n".join(f"[^{number}]: {note}" for note, number in notes.items()) + "\n")
    return "\n".join(parts)


def _table(kinds: dict[str, Kind], rows: dict[str, Row], notes: dict[str, int]) -> str:
    heads = ["kind", "", *VARIANTS, "kB", "s", "MB"]
    lines = [f"| {' | '.join(heads)} |", "| --- | --- " + "| --- " * len(VARIANTS) + "| --: " * 3]
    lines[1] += "|"
    for name, kind in kinds.items():
        row = rows.get(name)
        if not row:
            continue
        if row.refusal:
            columns = [_noted("no", row.refusal, notes)] * len(VARIANTS)
        else:
            columns = [
                _word(variant, row.cells[variant], notes) if variant in row.cells else ""
                for variant in VARIANTS
            ]
        size = sum({cell.made: cell.size_bytes for cell in row.cells.values()}.values())
        figures = [f"{size / 1e3:,.0f}", f"{row.seconds:.0f}", f"{row.peak_bytes / 1e6:,.0f}"]
        lines.append(f"| {' | '.join([f'`{name}`', kind.what, *columns, *figures])} |")
    lines.append(f"\n{_counts(kinds, rows)}")
    return "\n".join(lines) + "\n"


def _counts(kinds: dict[str, Kind], rows: dict[str, Row]) -> str:
    cells = [
        (variant, rows[name].cells.get(variant, Cell("")))
        for name in kinds
        if name in rows
        for variant in VARIANTS
    ]
    ok = sum(cell.made == variant for variant, cell in cells)
    replaced = sum(cell.made not in ("", variant) for variant, cell in cells)
    failed = len(cells) - ok - replaced
    return f"Of {len(cells)} artifacts {ok} ok, {replaced} by fallback, {failed} no."


def _word(variant: str, cell: Cell, notes: dict[str, int]) -> str:
    if cell.made == variant and not cell.reason:
        return "ok"
    if not cell.made:
        return _noted("no", cell.reason, notes)
    precision = cell.made.partition("-")[2]
    return _noted("mixed" if "mixed" in precision else precision, cell.reason, notes)


def _noted(word: str, note: str, notes: dict[str, int]) -> str:
    text = _ADVICE.sub("", note).replace("|", "/").replace("<", "&lt;")
    return f"{word}[^{notes.setdefault(text, len(notes) + 1)}]"
