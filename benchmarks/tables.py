"""Formats a report as Markdown tables, which are readable in a terminal too."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mnist_edge import cli, data

from . import corruptions
from .measurement import (
    BENCHMARK_JSON,
    BrowserCosts,
    BundleRecord,
    Interval,
    Latency,
    Measurement,
    Parity,
    Report,
)

MISSING = "–"
MEAN = "mean of MNIST-C's"
_MOST_COLUMNS = 100


class Column(NamedTuple):
    """A table column: `cell` formats a record of type `of`, or a dash if there is none."""

    heading: str
    of: type[Measurement] | type[Parity] | type[Latency] | type[BrowserCosts]
    cell: Callable[[Any], str]
    is_numeric: bool = True  # numeric columns are right-aligned


def shown(value: object | None, form: str) -> str:
    """Formats a value; a dash if it is None."""
    return MISSING if value is None else format(value, form)


def _interval(ends: Interval | None, form: str) -> str:
    return f"{ends[0]:{form}} to {ends[1]:{form}}" if ends else MISSING


def _times(ratio: float | None) -> str:
    return MISSING if ratio is None else f"{ratio:.3g}x"


def megabytes(count: int | None, form: str = ".0f") -> str:
    """Formats bytes as megabytes (1e6 bytes); a dash if they are None."""
    return MISSING if count is None else format(count / 1e6, form)


def _own_bytes(one: Latency) -> int | None:
    """Returns the memory of runtime and artifact, without that of Python and NumPy."""
    peak, idle = one.memory_peak_bytes, one.memory_idle_bytes
    return None if peak is None or idle is None else peak - idle


def _rate(batch: int) -> Callable[[Latency], str]:
    return lambda one: shown(one.images_per_second.get(str(batch)), ",")


def _recall(c: int) -> Callable[[Parity], str]:
    return lambda one: shown(next(iter(one.recall_per_class[c : c + 1]), None), ".1%")


def _verdict(row: Measurement) -> str:
    return ", ".join([row.status, *remarks(row)])


_ACCURACY = Column("accuracy", Parity, lambda one: f"{one.accuracy:.2%}")
_AGREEMENT = Column("agreement", Parity, lambda one: f"{one.agreement:.2%}")
_MEDIAN = Column("median, µs", Latency, lambda one: f"{one.p50_us:.1f}")
_P99 = Column("p99, µs", Latency, lambda one: f"{one.p99_us:.1f}")
_VERDICT = Column("verdict", Measurement, _verdict, is_numeric=False)
_OVERHEAD = Column(
    "times runtime overhead", Latency, lambda one: shown(one.times_runtime_overhead, ".2f")
)
_MAIN = (
    Column("runtime", Measurement, lambda row: row.runtime or MISSING, is_numeric=False),
    _ACCURACY,
    _AGREEMENT,
    Column("largest difference", Parity, lambda one: f"{one.max_probability_difference:.1e}"),
    Column("size, kB", Measurement, lambda row: f"{row.shipped_bytes / 1000:.1f}"),
    _MEDIAN,
    _P99,
    Column("speedup vs Keras", Latency, lambda one: _times(one.speedup_vs_keras)),
    Column("speedup vs float32", Latency, lambda one: _times(one.speedup_vs_tflite_float32)),
    _OVERHEAD,
    _VERDICT,
)
_PARITY = (
    _ACCURACY,
    Column("95 % interval", Parity, lambda one: _interval(one.accuracy_interval, ".2%")),
    _AGREEMENT,
    Column("95 % interval", Parity, lambda one: _interval(one.agreement_interval, ".2%")),
    Column("became wrong", Parity, lambda one: str(one.newly_wrong_count)),
    Column("became right", Parity, lambda one: str(one.newly_right_count)),
    Column("McNemar p", Parity, lambda one: f"{one.mcnemar_p:.2g}"),
    Column("mean difference", Parity, lambda one: f"{one.mean_probability_difference:.1e}"),
    Column("largest", Parity, lambda one: f"{one.max_probability_difference:.1e}"),
    Column("divergence, nats", Parity, lambda one: f"{one.divergence:.1e}"),
    Column("of one-hot, nats", Parity, lambda one: f"{one.one_hot_divergence:.1e}"),
)
_LATENCY = (
    Column("threads", Latency, lambda one: str(one.threads)),
    Column("calls", Latency, lambda one: f"{one.calls:,}"),
    _MEDIAN,
    Column("95 % interval", Latency, lambda one: _interval(one.p50_interval_us, ".1f")),
    _OVERHEAD,
    Column("p90", Latency, lambda one: f"{one.p90_us:.1f}"),
    Column("p99", Latency, lambda one: f"{one.p99_us:.1f}"),
    Column("largest", Latency, lambda one: f"{one.max_us:.0f}"),
    Column("first call, µs", Latency, lambda one: f"{one.first_call_us:.0f}"),
    Column("load, ms", Latency, lambda one: f"{one.load_ms:.1f}"),
    Column("memory, MB", Latency, lambda one: megabytes(one.memory_peak_bytes)),
    Column("of it runtime and artifact", Latency, lambda one: megabytes(_own_bytes(one))),
    Column("images/s at 1", Latency, _rate(1)),
    Column("at 32", Latency, _rate(32)),
    Column("at 256", Latency, _rate(256)),
)
_BROWSER = (
    _MAIN[0],
    _ACCURACY,
    _AGREEMENT,
    Column("files", BrowserCosts, lambda one: str(one.file_count)),
    Column("bytes", BrowserCosts, lambda one: f"{one.wire_bytes:,}"),
    Column("with gzip", BrowserCosts, lambda one: f"{one.gzip_bytes:,}"),
    Column("cold load, ms", BrowserCosts, lambda one: f"{one.cold_load_ms:.1f}"),
    Column("warm load, ms", BrowserCosts, lambda one: f"{one.warm_load_ms:.1f}"),
    _MEDIAN,
    _P99,
    _VERDICT,
)


def test_images(record: BundleRecord) -> str:
    """Says how many test images were used, and of how many if `--limit` left some out."""
    count, total = record.test_count, record.test_set_count
    limited = f" of {total:,}" if total and count < total else ""
    return f"{count:,}{limited} test images"


def main_table(report: Report) -> str:
    """Formats the main table: one row per artifact, at the first number of threads."""
    return _table(
        report, _MAIN, [(row, next(iter(row.latency), None)) for row in report.measurements]
    )


def parity_table(report: Report) -> str:
    """Formats accuracy and agreement in detail."""
    return _table(report, _PARITY, [(row, None) for row in report.measurements])


def recall_table(report: Report) -> str:
    """Formats recall by class; has one column per class of the bundle with most classes."""
    widths = [len(row.parity.recall_per_class) for row in report.measurements if row.parity]
    classes = max(widths, default=0)
    if classes > _MOST_COLUMNS:
        return f"For {classes:,} classes, see `recall_per_class` in `{BENCHMARK_JSON}`."
    names = {one.labels for one in report.bundles}
    labels = data.numbered(names.pop() if len(names) == 1 else (), classes)
    columns = [Column(name, Parity, _recall(c)) for c, name in enumerate(labels)]
    return _table(report, columns, [(row, None) for row in report.measurements])


def latency_table(report: Report) -> str:
    """Formats latency in detail: one row per artifact and number of threads."""
    pairs = [(row, one) for row in report.measurements for one in row.latency]
    return _table(report, _LATENCY, pairs)


def browser_table(report: Report) -> str:
    """Formats the rows that ran in a browser."""
    rows = [row for row in report.measurements if row.in_browser]
    return _table(report, _BROWSER, [(row, next(iter(row.latency), None)) for row in rows])


def robustness_table(report: Report, what: str = "accuracy") -> str:
    """Formats a share by distortion, one column per artifact.

    Args:
        report: The report.
        what: A field of `Robustness` with shares by name.
    """
    return by_distortion(
        {
            row.name(report.several): getattr(row.robustness, what)
            for row in report.measurements
            if row.robustness
        }
    )


def by_distortion(columns: Mapping[str, Mapping[str, float]]) -> str:
    """Formats shares by distortion, with the mean of MNIST-C's fifteen where all are known.

    Args:
        columns: By heading, shares by distortion; the first column has all distortions.
    """
    fifteen = list(corruptions.MNIST_C)
    means = {
        heading: statistics.fmean(one[name] for name in fifteen)
        for heading, one in columns.items()
        if one.keys() >= set(fifteen)
    }
    names = list(next(iter(columns.values()), ()))
    if means:
        names.insert(names.index(fifteen[-1]) + 1, MEAN)
    lines = []
    for name in names:
        shares = (
            means.get(heading) if name == MEAN else one.get(name)
            for heading, one in columns.items()
        )
        lines.append([name, *(shown(share, ".2%") for share in shares)])
    return layout([("images", False), *((heading, True) for heading in columns)], lines)


def remarks(row: Measurement) -> list[str]:
    """Returns a row's remarks, which the verdict column shows after its status."""
    found = list(row.remarks)
    if row.arena_bytes is not None:
        found.append(f"arena {row.arena_bytes:,} bytes")
    slower = [one.threads for one in row.latency if one.slower_than_float]
    if slower:
        several = len(row.latency) > 1
        at = f" at threads {', '.join(map(str, slower))}" if several else ""
        found.append(f"slower than float32{at}")
    return found


def _table(
    report: Report,
    columns: Sequence[Column],
    pairs: Iterable[tuple[Measurement, Latency | None]],
) -> str:
    headings = [("artifact", False), *((column.heading, column.is_numeric) for column in columns)]
    lines = []
    for row, one in pairs:
        parts = {
            Measurement: row,
            Parity: row.parity,
            Latency: one,
            BrowserCosts: row.browser,
        }
        cells = (
            MISSING if parts[column.of] is None else column.cell(parts[column.of])
            for column in columns
        )
        lines.append([row.name(report.several), *cells])
    return layout(headings, lines)


def layout(headings: Sequence[tuple[str, bool]], lines: Sequence[Sequence[str]]) -> str:
    """Formats a Markdown table, padded to be readable unrendered.

    Args:
        headings: `(heading, is_numeric)` per column; numeric columns are right-aligned.
        lines: Rows of one cell per column.

    Returns:
        The table, without a final newline.
    """
    # Names may be untrusted; a vertical bar would end a cell.
    titles, *lines = (
        [cli.printable(cell).replace("|", "/") for cell in line]
        for line in ([title for title, _ in headings], *lines)
    )
    widths = [max(map(len, column)) for column in zip(titles, *lines, strict=True)]
    rule = [
        "-" * (width - 1) + (":" if right else "-")
        for width, (_, right) in zip(widths, headings, strict=True)
    ]
    return "\n".join(
        "| "
        + " | ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, (_, right) in zip(line, widths, headings, strict=True)
        )
        + " |"
        for line in (titles, rule, *lines)
    )
