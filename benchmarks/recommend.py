"""Which artifact to ship: the ones that no other beats, and of those that fit, one."""

from . import rounds

# A limit of the settings, the unit to show it in, and the row's figure that it bounds.
_LIMITS = (
    ("max_kb", "kB", lambda row: row["size_bytes"] / 1000),
    ("max_us", "µs", lambda row: row["latency"][0]["p50_us"]),
)


def recommend(rows, settings):
    """Recommends an artifact.

    Of those that fit, the fastest whose accuracy is not told apart from the best one's:
    it lies within the best one's 95 % interval. Latency is at the first number of
    threads.

    Args:
        rows: The result's rows.
        settings: Has `max_kb`, `max_us` and `min_accuracy`; None or 0 asks for nothing.

    Returns:
        dict: `pareto`, the names of the artifacts that none beats in accuracy, size and
        latency at once; `ship`, a name, None where none fits; and `why`, a line.
    """
    several = len({row["bundle"] for row in rows}) > 1
    judged = [row for row in rows if row["format"] != "keras" and _is_measured(row)]
    passed = [row for row in judged if row["status"] == "passed"]
    front = [row for row in passed if not any(_beats(other, row) for other in passed)]
    fitting = [row for row in passed if _excess(row, settings) == 0]
    result = {"pareto": [name(row, several) for row in front], "ship": None}
    if not fitting:
        return result | {"why": _nearest(judged, settings, several)}
    best = max(fitting, key=lambda row: row["accuracy"])
    level = [row for row in fitting if row["accuracy"] >= best["accuracy_interval"][0]]
    chosen = min(level, key=lambda row: (row["latency"][0]["p50_us"], row["size_bytes"]))
    low, high = best["accuracy_interval"]
    others = [name(row, several) for row in level if row is not chosen and not _slower(row, chosen)]
    noise = f"; not told slower: {', '.join(others)}" if others else ""
    return result | {
        "ship": name(chosen, several),
        "why": f"{_figures(chosen, several)}: the fastest of the {len(level)} that fit and whose "
        f"accuracy is not told apart from the best one's ({name(best, several)}, "
        f"{low:.2%} to {high:.2%}){noise}",
    }


def name(row, several):
    """A row's name: its variant, after its bundle where there are several."""
    return f"{row['bundle']}/{row['variant']}" if several else row["variant"]


def _slower(one: dict, other: dict) -> bool | None:
    """Whether a row's median is above another's beyond noise."""
    return rounds.is_above(*(row["latency"][0]["p50_interval_us"] for row in (one, other)))


def _is_measured(row):
    return "accuracy" in row and bool(row["latency"])


def _beats(one, other):
    """Whether `one` is nowhere worse than `other`, and somewhere better."""
    mine, others = (
        (-row["accuracy"], row["size_bytes"], row["latency"][0]["p50_us"]) for row in (one, other)
    )
    return mine != others and all(a <= b for a, b in zip(mine, others, strict=True))


def _excess(row, settings):
    """By how much a row misses the limits, as a sum of shares of them; 0 where it fits."""
    over = [
        max(0.0, figure(row) / limit - 1)
        for key, _, figure in _LIMITS
        if (limit := getattr(settings, key)) is not None
    ]
    # A point of accuracy weighs as much as a tenth of size or time: errors, not hits, scale.
    lacking = max(0.0, settings.min_accuracy - row["accuracy"])
    return sum(over) + 10 * lacking


def _nearest(judged, settings, several):
    if not judged:
        return "none fits: none could be measured"
    nearest = min(judged, key=lambda row: _excess(row, settings))
    wanted = [
        f"at most {limit:g} {unit}"
        for key, unit, _ in _LIMITS
        if (limit := getattr(settings, key)) is not None
    ]
    if settings.min_accuracy:
        wanted.append(f"accuracy at least {settings.min_accuracy:.2%}")
    line = f"none fits ({', '.join(wanted) or 'the gate'}); nearest: {_figures(nearest, several)}"
    return line if nearest["status"] == "passed" else f"{line}, {nearest['status']}"


def _figures(row, several):
    return (
        f"{name(row, several)} ({row['accuracy']:.2%}, {row['size_bytes'] / 1000:.1f} kB, "
        f"{row['latency'][0]['p50_us']:.1f} µs)"
    )
