"""A report in words, and written: JSON, Markdown and pictures."""

from collections.abc import Sequence
from pathlib import Path

from mnist_edge import schema, staging

from . import bundles, plots, robustness, tables
from .measurement import BENCHMARK_JSON, Report, TimingBlock

BENCHMARK_MARKDOWN = "benchmark.md"
# All that a run writes.
FILES = (BENCHMARK_JSON, BENCHMARK_MARKDOWN, *plots.FILES)


def caption(report: Report) -> str:
    """What the main table was measured with, one line per subject."""
    timing, machine = report.timing, report.machine
    calls = timing.rounds * timing.calls
    counts = [f"{one.bundle} on {one.test_count:,} test images" for one in report.bundles]
    accuracies = [f"{one.reference_accuracy:.2%}" for one in report.bundles]
    governor = f", governor {machine.governor}" if machine.governor else ""
    lines = [
        f"{', '.join(counts)}; the stored reference's accuracy: {', '.join(accuracies)}.",
        f"Latency of a call at batch 1, NumPy in, NumPy out; {calls:,} calls in "
        f"{timing.rounds} rounds of all artifacts in turn, none left out.",
        *map(_block, timing.blocks),
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
        f"{threads}, {pinned}; the harness itself (an empty call) "
        f"{block.harness_overhead_p50_us:.2f} µs{overheads}, "
        f"the reference workload {block.reference_workload_p50_us:.2f} µs."
    )


def verdict(report: Report) -> str:
    """The breaches, one per line, then the recommendation and the verdict."""
    thresholds, advice = report.thresholds, report.recommendation
    lines = [f"BREACH {breach}" for breach in report.breaches]
    pareto = ", ".join(advice.pareto) or tables.MISSING
    lines.append(f"not beaten in accuracy, size and latency: {pareto}")
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
    """What the terminal shows."""
    parts = [tables.main_table(report)]
    if len(report.timing.blocks) > 1:
        parts.append(tables.latency_table(report))
    if any(row.robustness for row in report.measurements):
        parts += [tables.robustness_table(report), _ROBUSTNESS_NOTE]
    return "\n\n".join([*parts, f"{caption(report)}\n{verdict(report)}"])


def markdown(report: Report) -> str:
    """What `benchmark.md` holds."""
    sections = [
        ("Verdict", tables.main_table(report), caption(report), verdict(report)),
        ("Agreement with Keras", tables.parity_table(report)),
        ("Recall by class", tables.recall_table(report)),
        ("Latency", tables.latency_table(report), _LATENCY_NOTE),
    ]
    if any(row.robustness for row in report.measurements):
        sections.append(("Robustness", tables.robustness_table(report), _ROBUSTNESS_NOTE))
    parts = [f"## {heading}\n\n" + "\n\n".join(body) for heading, *body in sections]
    # Two spaces end a line in Markdown without ending the paragraph.
    lines = "\n\n".join(parts).split("\n")
    return "\n".join(line if _is_structure(line) else f"{line}  " for line in lines) + "\n"


def _is_structure(line: str) -> bool:
    return not line or line.startswith(("|", "#"))


_LATENCY_NOTE = (
    f"{tables.MISSING} at a batch: the artifact's own batch is fixed at another size. Memory is "
    "the process's peak through opening and the first call."
)
_ROBUSTNESS_NOTE = (
    "Accuracy on distorted test images: shifts to a random side, rotations to a random one, "
    f"Gaussian noise of {robustness.NOISE} gray levels of 255, blur of 1 pixel, strokes 1 pixel "
    "thinner and thicker, 255 minus the pixel."
)


def write(report: Report, read: Sequence[bundles.Bundle], folder: Path) -> list[str]:
    """Writes `benchmark.json`, `benchmark.md` and the pictures, all or none.

    Args:
        report: What a run gave.
        read: Its bundles.
        folder: Where they go.

    Returns:
        What was left out, one line each.
    """
    with staging.staged(folder) as stage:
        schema.write(stage / BENCHMARK_JSON, report)
        path = stage / BENCHMARK_MARKDOWN
        path.write_text(markdown(report), encoding="utf-8", errors="backslashreplace")
        left_out = plots.draw(report, read, stage)
        drawn = {path.name for path in stage.iterdir()}
    for name in plots.FILES - drawn:  # an earlier run's would contradict this one's table
        (folder / name).unlink(missing_ok=True)
    return left_out
