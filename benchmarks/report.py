"""Formats a report as text and Markdown, and writes it with its plots."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from mnist_edge import schema, staging
from mnist_edge.metrics import LEAST_ROUNDS

from . import bundles, plots, tables
from .measurement import BENCHMARK_JSON, Report, Timing, TimingBlock

BENCHMARK_MARKDOWN = "benchmark.md"
# Every file that a run writes.
FILES = (BENCHMARK_JSON, BENCHMARK_MARKDOWN, *plots.FILES)


def caption(report: Report) -> str:
    """Describes how the main table was measured: test set, timing, machine."""
    timing, machine = report.timing, report.machine
    native = [row for row in report.measurements if row.latency and not row.in_browser]
    calls = sorted({row.latency[0].calls for row in native}) or [0]
    few = "" if calls[0] == calls[-1] else f"{calls[0]:,} (slow artifacts) to "
    counts = [f"{one.bundle} on {tables.test_images(one)}" for one in report.bundles]
    accuracies = [f"{one.reference_accuracy:.2%}" for one in report.bundles]
    governor = f", governor {machine.governor}" if machine.governor else ""
    lines = [
        f"{', '.join(counts)}; the stored reference's accuracy: {', '.join(accuracies)}.",
        f"Latency per call at batch 1, NumPy in, NumPy out; {few}{calls[-1]:,} calls in "
        f"{timing.blocks[0].rounds or timing.rounds} rounds over all artifacts, no outliers "
        "removed.",
        *map(_block, timing.blocks),
        *_too_little_time(timing),
        *_kernels(report),
        *browser(report),
        f"{machine.processor}, {machine.cpu_count} cores{governor}, Python {machine.python}.",
    ]
    return "\n".join(lines)


def _block(block: TimingBlock) -> str:
    threads = "1 thread" if block.threads == 1 else f"{block.threads} threads"
    cores = block.pinned_cores
    pinned = f"pinned to core {', '.join(map(str, cores))}" if cores else "not pinned"
    overheads = "".join(
        f", runtime overhead of {one.runtime} {one.p50_us:.2f} µs" for one in block.runtime_overhead
    )
    return (
        f"{threads}, {pinned}; benchmark overhead (an empty call) "
        f"{block.harness_overhead_p50_us:.2f} µs{overheads}, "
        f"reference workload {block.reference_workload_p50_us:.2f} µs."
    )


def _too_little_time(timing: Timing) -> Iterator[str]:
    """Yields what budget would have been enough, if this one was not."""
    if not timing.budget_seconds:
        return
    short = [one for one in timing.blocks if one.rounds and one.rounds < LEAST_ROUNDS]
    for one in short[:1]:
        enough = (one.seconds or 0) * (LEAST_ROUNDS + 1) / ((one.rounds or 0) + 1)
        yield (
            f"The budget of {timing.budget_seconds:g} s is too small for intervals, which need "
            f"{LEAST_ROUNDS} rounds: give --budget {math.ceil(enough * len(timing.blocks))} or "
            "more."
        )


def _kernels(report: Report) -> Iterator[str]:
    """Yields one line on how far rows of the same weights disagree, if there are such rows."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in report.measurements:
        for first, *others in filter(None, [row.differences]):
            same = next((one.row for one in others if first.outputs and not one.outputs), "")
            equal = f" (as {_short(same, first.row)})" if same else ""
            counts = f"{first.decisions:,} / {first.outputs:,}{equal}"
            against = found.setdefault((row.bundle, first.row), [])
            against.append(f"{_short(row.name(False), first.row)} {counts}")
    if found:
        yield (
            "Other kernels, images decided otherwise / with a differing output byte: "
            + "; ".join(
                f"{f'{label}/' * report.several}{name} against {', '.join(others)}"
                for (label, name), others in found.items()
            )
            + "."
        )


def browser(report: Report) -> Iterator[str]:
    """Yields one line on how the rows in a browser were measured, if there are such rows."""
    if run := report.browser:
        yield (
            f"In {run.browser}, apart from the other rows: one thread, typed array in, typed array "
            "out; medians of batches of calls, p99 of single calls by a clock with steps of "
            f"{run.clock_step_us:.0f} µs; {run.rounds} rounds, {run.loads} loads; bytes of all "
            "files of runtime and artifact, uncompressed."
        )


def _short(name: str, first: str) -> str:
    """Returns a row's name without that of the artifact, if it shares it with the first row."""
    kernels = name.removeprefix(f"{first} (")
    return name if kernels == name else kernels.removesuffix(")")


def verdict(report: Report) -> str:
    """Lists the breaches, one per line, then the recommendation and the verdict."""
    thresholds, advice = report.thresholds, report.recommendation
    lines = [f"BREACH {breach}" for breach in report.breaches]
    pareto = ", ".join(advice.pareto) or tables.MISSING
    lines.append(f"Pareto front of accuracy, size and latency: {pareto}")
    lines.append(f"ship {advice.why}" if advice.ship else advice.why)
    required = (
        f"agreement at least {thresholds.min_agreement:.1%}, accuracy at most "
        f"{100 * thresholds.max_accuracy_drop:.2f} points below Keras"
    )
    if thresholds.min_accuracy:
        required += f" and at least {thresholds.min_accuracy:.1%}"
    if report.require:
        required += f"; {', '.join(report.require)} required"
    lines.append(f"gate {'passed' if report.passed else 'BREACHED'}: {required}")
    return "\n".join(lines)


def text(report: Report) -> str:
    """Formats a report for the terminal."""
    parts = [tables.main_table(report)]
    if len(report.timing.blocks) > 1:
        parts.append(tables.latency_table(report))
    if report.browser:
        parts.append(tables.browser_table(report))
    if any(row.robustness for row in report.measurements):
        parts += _robustness(report)
    return "\n\n".join([*parts, f"{caption(report)}\n{verdict(report)}"])


def markdown(report: Report) -> str:
    """Formats a report for `benchmark.md`."""
    sections = [
        ("Verdict", tables.main_table(report), caption(report), verdict(report)),
        ("Agreement with Keras", tables.parity_table(report)),
        ("Recall by class", tables.recall_table(report)),
        ("Latency", tables.latency_table(report), _LATENCY_NOTE),
    ]
    if report.browser:
        sections.append(("In a browser", tables.browser_table(report), *browser(report)))
    if any(row.robustness for row in report.measurements):
        sections.append(("Robustness", *_robustness(report)))
    parts = [f"## {heading}\n\n" + "\n\n".join(body) for heading, *body in sections]
    # Two spaces end a line in Markdown without ending the paragraph.
    lines = "\n\n".join(parts).split("\n")
    return "\n".join(line if _is_structure(line) else f"{line}  " for line in lines) + "\n"


def _is_structure(line: str) -> bool:
    return not line or line.startswith(("|", "#"))


_LATENCY_NOTE = (
    f"{tables.MISSING} at a batch size: the artifact has a fixed batch of another size. Memory is "
    "the process's peak up to the end of the first call."
)


def _robustness(report: Report) -> list[str]:
    """Formats what `--robustness` measured: tables and a note."""
    found = next(row.robustness for row in report.measurements if row.robustness)
    made = (
        f"MNIST-C's own files, {found.source}"
        if found.source
        else "corrupted by us as MNIST-C's are (docs/robustness.md), then shifted, rotated, with "
        f"Gaussian noise of {found.noise_gray_levels:g} gray levels, blurred, with strokes 1 pixel "
        "thinner and thicker, inverted"
    )
    return [
        f"Accuracy on {found.image_count:,} test images, {made}:",
        tables.robustness_table(report),
        "Expected calibration error on the same images:",
        tables.robustness_table(report, "calibration_error"),
        "Area under the ROC curve of the largest probability, plain test images against pictures "
        "of no class:",
        tables.robustness_table(report, "roc_area"),
        *(
            [
                "The same of the confidence of `mnist_edge.predict`:",
                tables.robustness_table(report, "confidence_roc_area"),
                'What it calls "no digit", digits and others:',
                tables.robustness_table(report, "refused"),
            ]
            if found.refused
            else []
        ),
    ]


def write(report: Report, loaded: Sequence[bundles.Bundle], folder: Path) -> list[str]:
    """Writes `benchmark.json`, `benchmark.md` and the plots, all or none.

    Args:
        report: The report to write.
        loaded: The bundles of the report.
        folder: Folder for the files.

    Returns:
        One line per plot that could not be drawn.
    """
    with staging.staged(folder) as stage:
        schema.write(stage / BENCHMARK_JSON, report)
        path = stage / BENCHMARK_MARKDOWN
        path.write_text(markdown(report), encoding="utf-8", errors="backslashreplace")
        skipped = plots.draw(report, loaded, stage)
        drawn = {path.name for path in stage.iterdir()}
    for name in plots.FILES - drawn:  # a plot of an earlier run would contradict this table
        (folder / name).unlink(missing_ok=True)
    return skipped
