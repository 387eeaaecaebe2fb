"""Name what got worse between two runs, beyond noise.

    python -m benchmarks.compare OLD.json NEW.json

compares two `benchmark.json` row by row: status, accuracy and agreement image by image,
size, and latency relative to each run's own yardstick, so that a machine that is busier
or slower throughout is no regression. Prints both machines and exits with 1 on a
regression.
"""

import dataclasses
import sys
from pathlib import Path

from mnist_edge import bundle, cli, expect, metrics
from mnist_edge.cli import one_line, setting
from mnist_edge.errors import InputError
from mnist_edge.expect import COUNT, SHARE, TEXT

from . import rounds
from .measurement import NOT_INSTALLED, PASSED
from .run import SCHEMA

_REMEDY = "Run: python -m benchmarks"
# Reports give a thousandth of a microsecond, and nobody waits for eleven days.
_MICROSECONDS = expect.number(1e12, least=0.001)
_INTERVAL_US = expect.Kind(
    f"null, or a list of 2, each {_MICROSECONDS.words}",
    lambda value: value is None or not expect.mismatch(value, (_MICROSECONDS, _MICROSECONDS)),
)
_BLOCK = {
    "threads": COUNT,
    "yardstick_p50_us": _MICROSECONDS,
    "yardstick_p50_interval_us": _INTERVAL_US,
}
_ROW = {
    "bundle": TEXT,
    "variant": TEXT,
    "status": TEXT,
    "breaches": [TEXT],
    "size_bytes": expect.count(least=1),
    "accuracy?": SHARE,
    "agreement?": SHARE,
    "wrong_indices?": [COUNT],
    "disagreements?": {"indices": [COUNT]},
    "latency": [{"threads": COUNT, "p50_us": _MICROSECONDS, "p50_interval_us": _INTERVAL_US}],
}
# What is compared, of all that docs/benchmark-schema.md tells; the rest may be missing.
_RESULT = {
    "schema": COUNT,
    "bundles": [{"bundle": TEXT, "test_sha256": TEXT}],
    "rows": [_ROW],
    "timing": {"blocks": [_BLOCK]},
    "machine": {},
}


@dataclasses.dataclass(frozen=True)
class CompareSettings:
    """What counts as a regression, and every default of the command line."""

    old: Path = setting(None, "benchmark.json of the run to compare with", nargs=None)
    new: Path = setting(None, "benchmark.json of the run to judge", nargs=None)
    max_p: float = setting(
        0.01, "largest p, of McNemar's test, at which accuracy or agreement that fell is no noise"
    )
    max_growth: float = setting(0.01, "most that a file may grow, as a share")
    # Eight variants of two models, four runs on two shared cores: at most 0.036 apart.
    max_slowdown: float = setting(
        0.1, "most that a median may rise, in yardsticks, as a share; intervals apart as well"
    )


def compare(old, new, settings):
    """Compares two results.

    Args:
        old: What `judge` returned once.
        new: What it returned now.
        settings: A `CompareSettings`.

    Returns:
        `(regressions, notes)`: lists of str, a line each; a note is what could not be
        compared.

    Raises:
        InputError: A bundle was judged on other test images in each.
    """
    tests = {one["bundle"]: one["test_sha256"] for one in old["bundles"]}
    for one in new["bundles"]:
        if tests.get(one["bundle"], one["test_sha256"]) != one["test_sha256"]:
            raise InputError(
                f"both runs must judge {one['bundle']} on the same test images. Got: SHA-256 "
                f"{tests[one['bundle']][:12]}… and {one['test_sha256'][:12]}…. {_REMEDY} again."
            )
    latest = {(row["bundle"], row["variant"]): row for row in new["rows"]}
    regressions, notes = [], []
    for row in old["rows"]:
        key = (row["bundle"], row["variant"])
        name = "/".join(key)
        after = latest.pop(key, None)
        if after is None:
            regressions.append(f"{name}: is gone")
        elif row["status"] == NOT_INSTALLED or after["status"] == NOT_INSTALLED:
            notes.append(f"{name}: not compared, its runtime was missing from a run")
        else:
            found = _status(row, after) or [
                *_answers(row, after, settings),
                *_size(row, after, settings),
                *_latency(row, after, old, new, settings),
            ]
            regressions += [f"{name}: {cause}" for cause in found]
    notes += [f"{'/'.join(key)}: new" for key in latest]
    if not all(_has_intervals(result) for result in (old, new)):
        notes.append("latency: not compared, fewer than six rounds can't be told from noise")
    return regressions, notes


def _status(before, after):
    """A row that passed and does not; nothing else is compared then."""
    if before["status"] == PASSED != after["status"]:
        return [f"{after['status']}, was {before['status']}: {'; '.join(after['breaches'])}"]
    return []


_ANSWERS = ("accuracy", "agreement", "wrong_indices", "disagreements")


def _answers(before, after, settings):
    """Accuracy and agreement: of the images that changed sides, did more turn bad?"""
    if not all(set(_ANSWERS) <= set(row) for row in (before, after)):
        return []
    found = []
    for name, bad in (
        ("accuracy", lambda row: set(row["wrong_indices"])),
        ("agreement", lambda row: set(row["disagreements"]["indices"])),
    ):
        lost, won = len(bad(after) - bad(before)), len(bad(before) - bad(after))
        p = metrics.mcnemar_p(lost, won)
        if lost > won and p <= settings.max_p:
            found.append(
                f"{name} {before[name]:.2%} -> {after[name]:.2%}: {lost} images lost, {won} won, "
                f"p {p:.2g}"
            )
    return found


def _size(before, after, settings):
    growth = after["size_bytes"] / before["size_bytes"] - 1
    if growth <= settings.max_growth:
        return []
    return [f"size {before['size_bytes']:,} -> {after['size_bytes']:,} bytes, {growth:+.1%}"]


def _latency(before, after, old, new, settings):
    """Medians in yardsticks, for each number of threads that both runs timed."""
    found = []
    blocks = {block["threads"]: block for block in after["latency"]}
    for block in before["latency"]:
        later = blocks.get(block["threads"])
        if later is None:
            continue
        then, now = _in_yardsticks(block, old), _in_yardsticks(later, new)
        rise = now["median"] / then["median"] - 1
        if rise > settings.max_slowdown and rounds.is_above(now["interval"], then["interval"]):
            found.append(
                f"latency at threads {block['threads']}: {then['median']:.2f} -> "
                f"{now['median']:.2f} yardsticks, {rise:+.0%} ({block['p50_us']:.1f} -> "
                f"{later['p50_us']:.1f} µs)"
            )
    return found


def _in_yardsticks(block: dict, result: dict) -> dict:
    """A median and its interval as multiples of what the run's own yardstick took."""
    (run,) = [r for r in result["timing"]["blocks"] if r["threads"] == block["threads"]]
    ends_us, yardstick_us = block["p50_interval_us"], run["yardstick_p50_interval_us"]
    known = ends_us and yardstick_us
    return {
        "median": block["p50_us"] / run["yardstick_p50_us"],
        "interval": [ends_us[0] / yardstick_us[1], ends_us[1] / yardstick_us[0]] if known else None,
    }


def _has_intervals(result: dict) -> bool:
    blocks = [block for row in result["rows"] for block in row["latency"]]
    timed = result["timing"]["blocks"]
    return all(block["p50_interval_us"] for block in blocks) and all(
        block["yardstick_p50_interval_us"] for block in timed
    )


def fingerprints(old, new):
    """Both machines, a line each, and one where they differ."""
    lines = []
    for name, result in (("old", old), ("new", new)):
        facts = [f"{key} {value}" for key, value in result["machine"].items() if value]
        shown = one_line(", ".join(facts))
        cores = [one_line(block.get("pinned_cores")) for block in result["timing"]["blocks"]]
        yardstick = result["timing"]["blocks"][0]["yardstick_p50_us"]
        lines.append(f"{name}: {shown}, pinned to {'; '.join(cores)}, yardstick {yardstick} µs")
    if old["machine"] != new["machine"]:
        lines.append("the machines differ: a latency that does may be theirs")
    return lines


def _read(path):
    result = bundle.read_json(path, _RESULT, _REMEDY)
    if result["schema"] != SCHEMA:
        got = one_line(result["schema"], 60)
        raise InputError(f"{path} must be of schema {SCHEMA}. Got: {got}. {_REMEDY}")
    wrong = expect.mismatch(result, _RESULT) or _block_mismatch(result)
    if wrong:
        raise InputError(f"{path}: {wrong}. {_REMEDY}")
    return result


def _block_mismatch(result):
    """What is wrong with the numbers of threads; None where each timed row has its yardstick."""
    timed = [block["threads"] for block in result["timing"]["blocks"]]
    if not timed or len(set(timed)) < len(timed):
        return "timing.blocks must hold one block a number of threads"
    rows = {block["threads"] for row in result["rows"] for block in row["latency"]}
    missing = sorted(rows - set(timed))
    return f"timing.blocks must hold threads {missing[0]} and does not" if missing else None


@cli.command
def main(argv=None):
    """Parses `argv`, compares, prints; returns the exit status."""
    settings = cli.parse_settings(CompareSettings, __doc__, argv, positional=["old", "new"])
    old, new = _read(settings.old), _read(settings.new)
    regressions, notes = compare(old, new, settings)
    for line in [*fingerprints(old, new), *notes]:
        print(line)
    for line in regressions:
        print(f"REGRESSION {line}")
    print(f"{len(regressions) or 'no'} regression{'s' * (len(regressions) != 1)}")
    return cli.GATE_FAILED if regressions else cli.OK


if __name__ == "__main__":
    sys.exit(main())
