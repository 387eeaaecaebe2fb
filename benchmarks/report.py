"""A result as a table that a terminal and a README both show."""

from mnist_edge import bundle

_MISSING = "–"
# Heading, whether numbers (right-aligned), and the cell of a row.
_COLUMNS = (
    ("artefact", False, lambda row: row["variant"]),
    ("runtime", False, lambda row: row["runtime"]),
    ("accuracy", True, lambda row: f"{row['accuracy']:.2%}"),
    ("agreement", True, lambda row: f"{row['agreement']:.2%}"),
    ("largest difference", True, lambda row: f"{row['max_probability_difference']:.1e}"),
    ("size, kB", True, lambda row: f"{row['size_bytes'] / 1000:.1f}"),
    ("median, µs", True, lambda row: f"{row['latency_p50_us']:.1f}"),
    ("p99, µs", True, lambda row: f"{row['latency_p99_us']:.1f}"),
    ("Keras = 1", True, lambda row: f"{row['speedup_over_keras']:.0f}x"),
    ("verdict", False, lambda row: row["status"]),
)


def table(result):
    """The rows as a Markdown table, padded so that it reads well unrendered too.

    Args:
        result: What `judge` returns.

    Returns:
        str, a line a row, without a final newline.
    """
    lines = [[heading for heading, _, _ in _COLUMNS]]
    lines += [[_cell(cell, row) for _, _, cell in _COLUMNS] for row in result["rows"]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numeric = [is_number for _, is_number, _ in _COLUMNS]
    rule = [
        "-" * (width - 1) + (":" if right else "-")
        for width, right in zip(widths, numeric, strict=True)
    ]
    return "\n".join(
        "| "
        + " | ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        + " |"
        for line in (lines[0], rule, *lines[1:])
    )


def _cell(cell, row):
    try:
        return cell(row)
    except KeyError:
        return _MISSING


def caption(result):
    """What the table was measured with, in two lines."""
    timing, machine = result["timing"], result["machine"]
    calls = timing["rounds"] * timing["calls"]
    threads = "1 thread" if timing["threads"] == 1 else f"{timing['threads']} threads"
    return (
        f"{result['model']} on {result['test_count']:,} test images; latency of a call at "
        f"batch 1, NumPy in, NumPy out, {threads}, {calls:,} calls in "
        f"{timing['rounds']} rounds of all artefacts in turn.\n"
        f"{machine['processor']}, {machine['cpu_count']} cores, Python {machine['python']}."
    )


def verdict(result):
    """The breaches, a line each, then the verdict."""
    limits = result["limits"]
    lines = [f"BREACH {breach}" for breach in result["breaches"]]
    required = (
        f"agreement at least {limits['min_agreement']:.1%}, accuracy at most "
        f"{100 * limits['max_accuracy_drop']:.2f} points below Keras"
    )
    if limits["min_accuracy"]:
        required += f" and at least {limits['min_accuracy']:.1%}"
    if result["passed"]:
        return f"gate passed: {required}"
    return "\n".join([*lines, f"gate BREACHED: {required}"])


def write(result, folder):
    """Writes `benchmark.json` and `benchmark.md` into a bundle, both or neither."""
    with bundle.staged(folder) as stage:
        bundle.write_json(stage / bundle.BENCHMARK_JSON, result)
        markdown = "\n\n".join([table(result), caption(result), verdict(result)])
        (stage / bundle.BENCHMARK_MARKDOWN).write_text(markdown + "\n")
