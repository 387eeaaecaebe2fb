"""Find regressions between two benchmark runs, beyond noise.

    python -m benchmarks.compare OLD.json NEW.json

compares two `benchmark.json` row by row: status, accuracy and agreement image by image,
file size, and latency relative to each run's reference workload, so that a slower or busier
machine does not count as a regression. Prints both machines and exits with status 1 if
there is a regression.
"""

import sys
from pathlib import Path

from mnist_edge import cli, metrics, schema
from mnist_edge.cli import one_line
from mnist_edge.errors import InputError

from .latency import is_above
from .measurement import NOT_INSTALLED, PASSED, Interval, Latency, Measurement, Parity, Report

_REMEDY = "Run: python -m benchmarks"
# Significance level of McNemar's test for a drop of accuracy or agreement.
_MAX_P = 0.01
_MAX_GROWTH = 0.01  # of a file's size, as a share
# Of the median relative to the reference workload, as a share; intervals must not overlap
# either. In four runs of eight variants of two models on two shared cores, medians differed by
# at most 0.036.
_MAX_SLOWDOWN = 0.1


def compare(old: Report, new: Report) -> tuple[list[str], list[str]]:
    """Compares two runs.

    Returns:
        `(regressions, notes)`, both as lines; notes are about rows that could not be compared.

    Raises:
        InputError: The runs measured a bundle on different test images.
    """
    measured = {one.bundle: one for one in old.bundles}
    for one in new.bundles:
        before, fault = measured.get(one.bundle, one), ""
        if before.test_sha256 != one.test_sha256:
            hashes = f"{before.test_sha256[:12]}… and {one.test_sha256[:12]}…"
            fault = f"SHA-256 {hashes}. {_REMEDY} again"
        elif before.test_count != one.test_count:
            counts = f"{before.test_count:,} and {one.test_count:,}"
            fault = f"{counts}. {_REMEDY} with the same --limit"
        if fault:
            images = f"both runs must measure {one.bundle} on the same test images"
            raise InputError(f"{images}. Got: {fault}.")
    latest = {row.name(True): row for row in new.measurements}
    regressions, notes = [], []
    for row in old.measurements:
        name = row.name(True)
        after = latest.pop(name, None)
        if after is None and row.kernels:
            what = "benchmarks.browser was not run" if row.in_browser else "--kernels did not ask"
            notes.append(f"{name}: not compared, {what} for it")
        elif after is None:
            regressions.append(f"{name}: is missing")
        elif NOT_INSTALLED in (row.status, after.status):
            notes.append(f"{name}: not compared, its runtime was missing in one of the runs")
        else:
            found = _status(row, after) or [
                *_parity(row.parity, after.parity),
                *_size(row, after),
                *_latency(row, after, old, new),
            ]
            regressions += [f"{name}: {cause}" for cause in found]
    notes += [f"{name}: new" for name in latest]
    if not all(map(_has_intervals, (old, new))):
        notes.append("latency: not compared, needs six or more rounds in both runs")
    return regressions, notes


def _status(before: Measurement, after: Measurement) -> list[str]:
    """Reports a row that no longer passes."""
    if before.status == PASSED != after.status:
        return [f"{after.status}, was {before.status}: {'; '.join(after.breaches)}"]
    return []


def _parity(before: Parity | None, after: Parity | None) -> list[str]:
    """Reports a significant drop of accuracy or agreement, by McNemar's test."""
    if not before or not after:
        return []
    found = []
    for name, then, now, old, new in (
        ("accuracy", before.accuracy, after.accuracy, before.wrong_indices, after.wrong_indices),
        (
            *("agreement", before.agreement, after.agreement),
            *(before.disagreements.indices, after.disagreements.indices),
        ),
    ):
        lost, won = len({*new} - {*old}), len({*old} - {*new})
        p = metrics.mcnemar_p(lost, won)
        if lost > won and p <= _MAX_P:
            found.append(
                f"{name} {then:.2%} -> {now:.2%}: {lost} images lost, {won} won, p {p:.2g}"
            )
    return found


def _size(before: Measurement, after: Measurement) -> list[str]:
    growth = after.size_bytes / max(1, before.size_bytes) - 1
    if growth <= _MAX_GROWTH:
        return []
    return [f"size {before.size_bytes:,} -> {after.size_bytes:,} bytes, {growth:+.1%}"]


def _latency(before: Measurement, after: Measurement, old: Report, new: Report) -> list[str]:
    """Reports slowdowns relative to the reference workload, at each common number of threads."""
    found = []
    latest = {one.threads: one for one in after.latency}
    for one in before.latency:
        later = latest.get(one.threads)
        if later is None:
            continue
        then, then_interval = _in_workloads(before, one, old)
        now, now_interval = _in_workloads(after, later, new)
        rise = now / then - 1
        if rise > _MAX_SLOWDOWN and is_above(now_interval, then_interval):
            found.append(
                f"latency at threads {one.threads}: {then:.2f} -> {now:.2f} reference workloads, "
                f"{rise:+.0%} ({one.p50_us:.1f} -> {later.p50_us:.1f} µs)"
            )
    return found


def _in_workloads(row: Measurement, one: Latency, report: Report) -> tuple[float, Interval | None]:
    """Returns a median and its interval as multiples of the run's reference workload."""
    timed = report.baselines(row, one.threads)
    own, workload = one.p50_interval_us, timed.reference_workload_p50_interval_us
    interval = (own[0] / workload[1], own[1] / workload[0]) if own and workload else None
    return one.p50_us / timed.reference_workload_p50_us, interval


def _has_intervals(report: Report) -> bool:
    latencies = [one for row in report.measurements for one in row.latency]
    return all(one.p50_interval_us for one in latencies) and all(
        block.reference_workload_p50_interval_us for block in report.timing.blocks
    )


def fingerprints(old: Report, new: Report) -> list[str]:
    """Describes both machines, one line each, and warns if they differ."""
    lines = []
    for name, report in (("old", old), ("new", new)):
        facts = schema.encode(report.machine).items()
        shown = one_line(", ".join(f"{key} {value}" for key, value in facts if value))
        cores = "; ".join(
            str(block.pinned_cores and list(block.pinned_cores)) for block in report.timing.blocks
        )
        workload_us = report.timing.blocks[0].reference_workload_p50_us
        lines.append(f"{name}: {shown}, pinned to {cores}, reference workload {workload_us} µs")
    if old.machine != new.machine:
        lines.append("the machines differ, which may explain a difference in latency")
    return lines


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Compares the two runs in `argv` and prints regressions; returns the exit status."""
    parser = cli.parser(__doc__)
    parser.add_argument("old", type=Path, help="benchmark.json of the run to compare with")
    parser.add_argument("new", type=Path, help="benchmark.json of the run to check")
    paths = parser.parse_args(argv)
    old, new = (schema.read(Report, path, _REMEDY) for path in (paths.old, paths.new))
    regressions, notes = compare(old, new)
    for line in [*fingerprints(old, new), *notes]:
        print(line)
    for line in regressions:
        print(f"REGRESSION {line}")
    print(f"{len(regressions) or 'no'} regression{'s' * (len(regressions) != 1)}")
    return cli.GATE_FAILED if regressions else cli.OK


if __name__ == "__main__":
    sys.exit(main())
