"""The frontier as the README's table, from the record alone."""

import statistics

from mnist_edge import models

from .. import tables
from . import latency as frontier_latency
from . import records

FLOAT, INT8 = "tflite-float32", "tflite-int8"
_LATENCIES = {
    "LiteRT float32": FLOAT,
    "LiteRT int8": INT8,
    "ONNX Runtime float32": "onnx-float32",
}


def measured(record):
    """The runs that the frontier is of: by today's recipe, exports measured.

    Args:
        record: What `records.load` returns.

    Returns:
        dict, runs by model, in the zoo's order; without the models that have none.
    """
    runs = {
        name: [run for run in records.runs_of(record, name) if "variants" in run]
        for name in models.ZOO
    }
    return {name: done for name, done in runs.items() if done}


def of_variant(runs, variant):
    """What one variant reached in each run, list of dict."""
    return [run["variants"][variant] for run in runs if variant in run["variants"]]


def size_bytes(runs):
    """The median size of the int8 files; None where there is none."""
    sizes = [one["size_bytes"] for one in of_variant(runs, INT8)]
    return statistics.median(sizes) if sizes else None


def timed(record, kind, name):
    """What the record's timing holds of a network, a dict by variant; empty where nothing."""
    return ((record["latency"] or {}).get(kind) or {}).get(name, {})


def table(record):
    """The README's table, Markdown, smallest network first; "" without runs."""
    found = measured(record)
    if not found:
        return ""
    headings = [("model", False), ("parameters", True), ("int8, bytes", True), ("MAC", True)]
    headings += [("accuracy, float32", True), ("accuracy, int8", True)]
    headings += [(heading, True) for heading in _LATENCIES]
    names = sorted(found, key=lambda name: found[name][-1]["parameters"])
    return tables.layout(headings, [_cells(record, name, found[name]) for name in names])


def _cells(record, name, runs):
    blocks = timed(record, frontier_latency.ZOO, name)
    size = size_bytes(runs)
    return [
        f"`{name}`",
        f"{runs[-1]['parameters']:,}",
        f"{size:,.0f}" if size else tables.MISSING,
        f"{runs[-1]['multiply_accumulates']:,}",
        records.accuracy_words(runs),
        records.accuracy_words(of_variant(runs, INT8)),
        *(
            f"{blocks[variant]['over_unit']:.3g}" if variant in blocks else tables.MISSING
            for variant in _LATENCIES.values()
        ),
    ]


def caption(record):
    """What the table's latencies are, in a sentence; "" where nothing was timed."""
    latency = record["latency"]
    if not latency:
        return ""
    unit = latency[frontier_latency.ZOO][latency["unit"]]
    timing = latency["timing"]
    return (
        f"Latency at batch 1 on one thread, in calls of `{latency['unit']}`'s float32 file in the "
        f"same runtime ({unit[FLOAT]['p50_us']:.1f} µs in LiteRT, "
        f"{unit['onnx-float32']['p50_us']:.1f} µs in ONNX Runtime): medians of "
        f"{timing['rounds']} rounds of {timing['calls']} calls, all networks in turn "
        f"({latency['machine']['processor']}, {latency['date']})."
    )
