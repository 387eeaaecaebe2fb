"""The record as the tables of docs/frontier.md."""

import statistics

from .. import tables
from . import records
from .published import PUBLISHED
from .records import FLOAT, INT8, ONNX_FLOAT, ExportResult, NetworkRuns, Record

_LATENCIES = {
    "LiteRT float32": FLOAT,
    "LiteRT int8": INT8,
    "ONNX Runtime float32": ONNX_FLOAT,
}


def tables_of(record: Record) -> str:
    """What the command prints: the frontier, what its latencies are, the references."""
    blocks = (frontier_table(record), caption(record), reference_table(record))
    return "\n\n".join(block for block in blocks if block)


def frontier_table(record: Record) -> str:
    """The frontier, Markdown, smallest network first; "" without runs."""
    found = sorted(record.measured().items(), key=lambda pair: pair[1].parameters)
    if not found:
        return ""
    headings = [("model", False), ("parameters", True), ("int8, bytes", True), ("MAC", True)]
    headings += [("accuracy, float32", True), ("accuracy, int8", True)]
    headings += [(heading, True) for heading in _LATENCIES]
    return tables.layout(headings, [_cells(record, name, network) for name, network in found])


def _cells(record: Record, name: str, network: NetworkRuns) -> list[str]:
    times, int8 = record.call_times(name), network.exports(INT8)
    return [
        f"`{name}`",
        f"{network.parameters:,}",
        f"{median_bytes(int8):,.0f}" if int8 else tables.MISSING,
        f"{network.multiply_accumulates:,}",
        records.accuracy_words(network.runs),
        records.accuracy_words(int8),
        *(
            f"{times[variant].over_unit:.3g}" if variant in times else tables.MISSING
            for variant in _LATENCIES.values()
        ),
    ]


def median_bytes(exports: list[ExportResult]) -> float:
    """The median size of files, one or more."""
    return statistics.median(export.size_bytes for export in exports)


def caption(record: Record) -> str:
    """What the table's latencies are, in a sentence; "" where nothing was timed."""
    latency = record.latency
    if not latency:
        return ""
    unit, timing = latency.networks[latency.unit], latency.timing
    return (
        f"Latency at batch 1 on one thread, in calls of `{latency.unit}`'s float32 file in the "
        f"same runtime ({unit[FLOAT].p50_us:.1f} µs in LiteRT, "
        f"{unit[ONNX_FLOAT].p50_us:.1f} µs in ONNX Runtime): medians of "
        f"{timing.rounds} rounds of {timing.calls} calls, all networks in turn "
        f"({latency.machine.processor}, {latency.date})."
    )


def reference_table(record: Record) -> str:
    """The projects that this one takes in, and what their networks reach here, Markdown."""
    headings = [("reference", False), ("its network", False), ("published", True)]
    headings += [("here, by its own recipe", True), ("command", False)]
    lines = [
        [
            reference.letter,
            reference.network,
            f"{100 * reference.accuracy:g} %" if reference.accuracy else "none given",
            records.accuracy_words(record.runs(reference.model)),
            f"`python -m mnist_edge.train --model {reference.model}`",
        ]
        for reference in PUBLISHED.references
    ]
    return tables.layout(headings, lines)
