"""A result as tables that a terminal and a README both show."""

from mnist_edge import bundle, cli

from .recommend import name

MISSING = "–"
_MOST_COLUMNS = 100


def _interval(ends, form):
    low, high = ends
    return f"{low:{form}} to {high:{form}}"


def _megabytes(count):
    return f"{count / 1e6:.0f}"


def _own_bytes(block):
    """What opening and the first call took, beyond Python and NumPy."""
    return block["memory_peak_bytes"] - block["memory_idle_bytes"]


def _verdict(row, block):
    return ", ".join([row["status"], *remarks(row)])


# Heading, whether numbers (right-aligned), and the cell of a row and its latency block.
# A cell whose figure is not there (KeyError, or TypeError for a null) is a dash.
_MAIN = (
    ("runtime", False, lambda row, block: row["runtime"]),
    ("accuracy", True, lambda row, block: f"{row['accuracy']:.2%}"),
    ("agreement", True, lambda row, block: f"{row['agreement']:.2%}"),
    ("largest difference", True, lambda row, block: f"{row['max_probability_difference']:.1e}"),
    ("size, kB", True, lambda row, block: f"{row['size_bytes'] / 1000:.1f}"),
    ("median, µs", True, lambda row, block: f"{block['p50_us']:.1f}"),
    ("p99, µs", True, lambda row, block: f"{block['p99_us']:.1f}"),
    ("speedup vs Keras", True, lambda row, block: f"{block['speed_over_keras']:.3g}x"),
    ("speedup vs float32", True, lambda row, block: f"{block['speed_over_tflite_float32']:.3g}x"),
    ("times runtime overhead", True, lambda row, block: f"{block['times_empty_graph']:.2f}"),
    ("verdict", False, _verdict),
)
_PARITY = (
    ("accuracy", True, lambda row, block: f"{row['accuracy']:.2%}"),
    ("95 % interval", True, lambda row, block: _interval(row["accuracy_interval"], ".2%")),
    ("agreement", True, lambda row, block: f"{row['agreement']:.2%}"),
    ("95 % interval", True, lambda row, block: _interval(row["agreement_interval"], ".2%")),
    ("became wrong", True, lambda row, block: str(row["newly_wrong_count"])),
    ("became right", True, lambda row, block: str(row["newly_right_count"])),
    ("McNemar p", True, lambda row, block: f"{row['mcnemar_p']:.2g}"),
    ("mean difference", True, lambda row, block: f"{row['mean_probability_difference']:.1e}"),
    ("largest", True, lambda row, block: f"{row['max_probability_difference']:.1e}"),
    ("divergence, nats", True, lambda row, block: f"{row['divergence']:.1e}"),
    ("one-hot's", True, lambda row, block: f"{row['one_hot_divergence']:.1e}"),
)
_LATENCY = (
    ("threads", True, lambda row, block: str(block["threads"])),
    ("median, µs", True, lambda row, block: f"{block['p50_us']:.1f}"),
    ("95 % interval", True, lambda row, block: _interval(block["p50_interval_us"], ".1f")),
    ("times runtime overhead", True, lambda row, block: f"{block['times_empty_graph']:.2f}"),
    ("p90", True, lambda row, block: f"{block['p90_us']:.1f}"),
    ("p99", True, lambda row, block: f"{block['p99_us']:.1f}"),
    ("largest", True, lambda row, block: f"{block['max_us']:.0f}"),
    ("first call, µs", True, lambda row, block: f"{block['first_call_us']:.0f}"),
    ("load, ms", True, lambda row, block: f"{block['load_ms']:.1f}"),
    ("memory, MB", True, lambda row, block: _megabytes(block["memory_peak_bytes"])),
    ("of it the runtime's", True, lambda row, block: _megabytes(_own_bytes(block))),
    ("images/s at 1", True, lambda row, block: f"{block['images_per_second']['1']:,}"),
    ("at 32", True, lambda row, block: f"{block['images_per_second']['32']:,}"),
    ("at 256", True, lambda row, block: f"{block['images_per_second']['256']:,}"),
)


def main_table(result):
    """The one table: a row an artifact, at the first number of threads."""
    pairs = [(row, (row["latency"] or [{}])[0]) for row in result["rows"]]
    return _table(result, _MAIN, pairs)


def parity_table(result):
    """Agreement and accuracy in full."""
    return _table(result, _PARITY, [(row, {}) for row in result["rows"]])


def recall_table(result):
    """Recall by class; a column a class, as many as the widest row has."""
    classes = max((len(row.get("recall_per_class", ())) for row in result["rows"]), default=0)
    if classes > _MOST_COLUMNS:
        return f"Of {classes:,} classes: `recall_per_class` in `{bundle.BENCHMARK_JSON}`."
    columns = tuple(
        (str(c), True, lambda row, _, c=c: f"{row['recall_per_class'][c]:.1%}")
        for c in range(classes)
    )
    return _table(result, columns, [(row, {}) for row in result["rows"]])


def latency_table(result):
    """Latency in full: a row an artifact and number of threads."""
    pairs = [(row, block) for row in result["rows"] for block in row["latency"]]
    return _table(result, _LATENCY, pairs)


def robustness_table(result):
    """Accuracy under each distortion."""
    rows = result["robustness"]["rows"]
    distortions = rows[0]["accuracy"] if rows else ()
    columns = (
        ("images", True, lambda row, _: f"{row['image_count']:,}"),
        *((d, True, lambda row, _, d=d: f"{row['accuracy'][d]:.1%}") for d in distortions),
    )
    return _table(result, columns, [(row, {}) for row in rows])


def remarks(row):
    """What the verdict adds about a row, a list of str."""
    found = list(row.get("remarks", ()))
    slower = [block["threads"] for block in row["latency"] if block.get("slower_than_float")]
    if slower:
        several = len(row["latency"]) > 1
        at = f" at threads {', '.join(map(str, slower))}" if several else ""
        found.append(f"slower than its float{at}")
    return found


def _table(result, columns, pairs):
    several = len(result["bundles"]) > 1
    headings = [("artifact", False), *((heading, right) for heading, right, _ in columns)]
    lines = [
        [name(row, several), *(_cell(cell, row, block) for _, _, cell in columns)]
        for row, block in pairs
    ]
    return layout(headings, lines)


def layout(headings, lines):
    """A Markdown table, padded so that it reads well unrendered too.

    Args:
        headings: `(heading, whether numbers)` a column; numbers are right-aligned.
        lines: Lists of str, a cell a column.

    Returns:
        str, a line a row, without a final newline.
    """
    titles = [title for title, _ in headings]
    lines = [[cli.printable(cell) for cell in line] for line in lines]  # names are from elsewhere
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


def _cell(cell, row, block):
    try:
        return cell(row, block)
    except (KeyError, TypeError, IndexError):
        return MISSING
