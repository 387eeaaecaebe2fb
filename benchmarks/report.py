"""A result in words, and written: JSON, Markdown and pictures."""

from mnist_edge import bundle

from . import plots, tables

# All that a run writes.
FILES = (bundle.BENCHMARK_JSON, bundle.BENCHMARK_MARKDOWN, *plots.FILES)


def caption(result):
    """What the main table was measured with, a line a subject."""
    timing, machine = result["timing"], result["machine"]
    calls = timing["rounds"] * timing["calls"]
    counts = [f"{one['bundle']} on {one['test_count']:,} test images" for one in result["bundles"]]
    lines = [
        f"{', '.join(counts)}; the stored reference's accuracy: "
        + ", ".join(f"{one['reference_accuracy']:.2%}" for one in result["bundles"])
        + ".",
        f"Latency of a call at batch 1, NumPy in, NumPy out; {calls:,} calls in "
        f"{timing['rounds']} rounds of all artifacts in turn, none left out.",
    ]
    lines += [_block(block) for block in timing["blocks"]]
    governor = f", governor {machine['governor']}" if machine["governor"] else ""
    lines.append(
        f"{machine['processor']}, {machine['cpu_count']} cores{governor}, "
        f"Python {machine['python']}."
    )
    return "\n".join(lines)


def _block(block):
    threads = "1 thread" if block["threads"] == 1 else f"{block['threads']} threads"
    cores = block["pinned_cores"]
    pinned = f"pinned to core {', '.join(map(str, cores))}" if cores else "not pinned"
    graphs = "".join(
        f", runtime overhead of {graph['runtime']} {graph['p50_us']:.2f} µs"
        for graph in block["empty_graphs"]
    )
    return (
        f"{threads}, {pinned}; the harness itself (an empty call) "
        f"{block['empty_call_p50_us']:.2f} µs{graphs}, "
        f"the reference workload {block['yardstick_p50_us']:.2f} µs."
    )


def verdict(result):
    """The breaches, a line each, then the recommendation and the verdict."""
    limits, advice = result["limits"], result["recommendation"]
    lines = [f"BREACH {breach}" for breach in result["breaches"]]
    lines.append(f"not beaten in accuracy, size and latency: {', '.join(advice['pareto']) or '–'}")
    lines.append(f"ship {advice['why']}" if advice["ship"] else advice["why"])
    required = (
        f"agreement at least {limits['min_agreement']:.1%}, accuracy at most "
        f"{100 * limits['max_accuracy_drop']:.2f} points below Keras"
    )
    if limits["min_accuracy"]:
        required += f" and at least {limits['min_accuracy']:.1%}"
    if limits["require"]:
        required += f"; {', '.join(limits['require'])} required"
    lines.append(f"gate {'passed' if result['passed'] else 'BREACHED'}: {required}")
    return "\n".join(lines)


def text(result):
    """What the terminal shows."""
    parts = [tables.main_table(result)]
    if len(result["timing"]["blocks"]) > 1:
        parts.append(tables.latency_table(result))
    if result["robustness"]:
        parts += [tables.robustness_table(result), _robustness_caption(result)]
    return "\n\n".join([*parts, f"{caption(result)}\n{verdict(result)}"])


def markdown(result):
    """What `benchmark.md` holds."""
    sections = [
        ("Verdict", tables.main_table(result), caption(result), verdict(result)),
        ("Agreement with Keras", tables.parity_table(result)),
        ("Recall by class", tables.recall_table(result)),
        ("Latency", tables.latency_table(result), _LATENCY_NOTE),
    ]
    if result["robustness"]:
        sections.append(
            ("Robustness", tables.robustness_table(result), _robustness_caption(result))
        )
    parts = [f"## {heading}\n\n" + "\n\n".join(body) for heading, *body in sections]
    # Two spaces end a line in Markdown without ending the paragraph.
    lines = "\n\n".join(parts).split("\n")
    return "\n".join(line if _is_structure(line) else f"{line}  " for line in lines) + "\n"


def _is_structure(line):
    return not line or line.startswith(("|", "#"))


_LATENCY_NOTE = (
    f"{tables.MISSING} at a batch: the artifact's own batch is fixed at another size. Memory is "
    "the process's peak through opening and the first call."
)


def _robustness_caption(result):
    found = result["robustness"]
    return (
        "Accuracy on distorted test images: shifts to a random side, rotations to a random "
        f"one, Gaussian noise of {found['noise_grey_levels']} gray levels "
        "of 255, blur of 1 pixel, strokes 1 pixel thinner and thicker, 255 minus the pixel."
    )


def write(result, read, folder):
    """Writes `benchmark.json`, `benchmark.md` and the pictures, all or none.

    Args:
        result: What `judge` returns.
        read: The run's `bundles.Bundle`s.
        folder: Where they go.

    Returns:
        list of str: what was left out, a line each.
    """
    with bundle.staged(folder) as stage:
        bundle.write_json(stage / bundle.BENCHMARK_JSON, result)
        path = stage / bundle.BENCHMARK_MARKDOWN
        path.write_text(markdown(result), encoding="utf-8", errors="backslashreplace")
        left_out = plots.draw(result, read, stage)
        drawn = {path.name for path in stage.iterdir()}
    for name in plots.FILES - drawn:  # an earlier run's would contradict this one's table
        (folder / name).unlink(missing_ok=True)
    return left_out
