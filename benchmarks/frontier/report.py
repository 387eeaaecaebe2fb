"""Formats the record as the tables of docs/frontier.md."""

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


def all_tables(record: Record) -> str:
    """Formats the frontier, the caption of its latencies, and the references."""
    blocks = (frontier_table(record), caption(record), reference_table(record))
    return "\n\n".join(block for block in blocks if block)


def frontier_table(record: Record) -> str:
    """Formats the frontier as a Markdown table, smallest network first; "" without runs."""
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
    """Returns the median file size of one or more exports."""
    return statistics.median(export.size_bytes for export in exports)


def caption(record: Record) -> str:
    """Describes how the latencies were measured; "" if nothing was timed."""
    latency = record.latency
    if not latency:
        return ""
    unit, timing = latency.networks[latency.unit], latency.timing
    return (
        f"Latency at batch 1 on one thread, relative to `{latency.unit}`'s float32 file in the "
        f"same runtime ({unit[FLOAT].p50_us:.1f} µs in LiteRT, "
        f"{unit[ONNX_FLOAT].p50_us:.1f} µs in ONNX Runtime): median over "
        f"{timing.rounds} rounds of {timing.calls} calls, all networks in every round "
        f"({latency.machine.processor}, {latency.date})."
    )


def reference_table(record: Record) -> str:
    """Formats the reference projects and their networks' accuracy here as a Markdown table."""
    headings = [("reference", False), ("network", False), ("published", True)]
    headings += [("here, with its recipe", True), ("command", False)]
    lines = [
        [
            reference.letter,
            reference.network,
            f"{100 * reference.accuracy:g} %" if reference.accuracy else "not given",
            records.accuracy_words(record.runs(reference.model)),
            f"`python -m mnist_edge.train --model {reference.model}`",
        ]
        for reference in PUBLISHED.references
    ]
    return tables.layout(headings, lines)
