"""A report as text for the terminal."""

from collections.abc import Callable

from mnist_edge import cli

from .. import tables
from .records import LayerReport, LayerResult

# Heading, whether it is a number, and the cell.
COLUMNS: tuple[tuple[str, bool, Callable[[LayerResult], str]], ...] = (
    ("layer", False, lambda one: one.layer),
    ("kind", False, lambda one: one.kind),
    ("operator", False, lambda one: one.operator),
    ("match", False, lambda one: one.match),
    ("SNR, dB", True, lambda one: f"{one.snr_db:.1f}"),
    ("by channel, dB", True, lambda one: f"{one.channel_snr_db:.1f}"),
    ("largest difference", True, lambda one: f"{one.max_difference:.2g}"),
    ("of range", True, lambda one: f"{one.relative_difference:.2%}"),
    ("cosine", True, lambda one: f"{one.cosine:.4f}"),
    ("saturated", True, lambda one: tables.shown(one.saturated, ".2%")),
    ("µs", True, lambda one: tables.shown(one.time_us, ".1f")),
)


def text(report: LayerReport) -> str:
    """Formats a report: a heading, a table with one row per layer, and the verdict."""
    title = f"{report.bundle}, {report.variant}"
    if report.failure:
        return cli.one_line(f"{title} FAILED: {report.failure}", most=None)
    headings = [(heading, is_numeric) for heading, is_numeric, _ in COLUMNS]
    rows = [[cell(one) for *_, cell in COLUMNS] for one in report.layers]
    head = f"{title}: {report.images} images, {report.runtime}"
    grid = tables.layout(headings, rows).splitlines()
    lines = [head, "", *grid, "", *notes(report), verdict(report)]
    return "\n".join(map(cli.printable, lines))


def verdict(report: LayerReport) -> str:
    """Returns where quality falls, in one line."""
    if not report.layers:
        return "no layer of the model was found in the artifact"
    if report.fall:
        return f"quality falls first at {report.fall.layer}: {report.fall.reason}"
    return "no layer falls"


def notes(report: LayerReport) -> list[str]:
    """Returns which layers have no tensor of their own, one line each."""
    lines = [
        f"computed with {one.layer}: {', '.join(one.fused)}" for one in report.layers if one.fused
    ]
    if report.unmatched:
        lines.append(f"not found: {', '.join(report.unmatched)}")
    return lines
