"""Runs the benchmark: checks and times every artifact of every bundle, one process each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_edge import cli, gate, heads

from . import bundles, machine, robustness, session
from .bundles import Artifact, Bundle
from .measurement import (
    BREACHED,
    FAILED,
    KERAS_ROW,
    NOT_INSTALLED,
    PASSED,
    REFUSED,
    Measurement,
    Report,
    Timing,
)
from .recommend import recommend
from .session import Block
from .settings import ALL, BenchmarkSettings


def benchmark(*folders: Path | str, **settings: Any) -> Report:
    """Checks and times every artifact of the given bundles.

        report = benchmark("artifacts/edge", rounds=10)
        pandas.DataFrame(report.records())

    Each artifact runs in its own process.

    Args:
        *folders: Bundle folders written by `python -m export`; defaults to the default bundle.
        **settings: Fields of `BenchmarkSettings`, the same as the command's flags.

    Raises:
        InputError: A bundle is missing or damaged, or a limit is too low to measure anything.
    """
    if folders:
        settings["bundles"] = tuple(map(Path, folders))
    return run(cli.settings_from(BenchmarkSettings, "benchmark", settings))


def run(settings: BenchmarkSettings, loaded: Sequence[Bundle] = ()) -> Report:
    """Runs a benchmark.

    Args:
        settings: What to measure and how.
        loaded: The bundles of `settings`, if `bundles.load_all` has already loaded them.

    Raises:
        InputError: A bundle is missing or damaged, or a limit is too low to measure anything.
    """
    loaded = loaded or bundles.load_all(settings.bundles, settings.limit)
    for one in loaded if settings.robustness else ():
        robustness.check(one.images.shape[1:], one.manifest.model.input_range, one.folder)
        heads.require_classes(one.heads, one.folder, "robustness")
        others = settings.no_digit
        asked = robustness.names(settings.data, others) if settings.data else others
        for name in asked:  # refused before a long run starts
            robustness.distorted(one, name, 1, settings.data, others)
    candidates = {
        (one.label, file.name): (one, file) for one in loaded for file in one.rows(settings.kernels)
    }
    lacking = {key: file.missing() for key, (_, file) in candidates.items()}
    installed = {key: row for key, row in candidates.items() if not lacking[key]}
    damages = {key: file.damage() for key, (_, file) in installed.items()}
    failures = {key: cli.printable(cause) for key, cause in damages.items() if cause}
    blocks: list[Block] = []
    for threads in settings.threads:
        remaining = {key: one for key, one in installed.items() if key not in failures}
        blocks.append(session.run_block(settings, remaining, threads))
        failures |= blocks[-1].failures
    measurements = tuple(
        _measurement(one, file, lacking[key], failures.get(key), blocks)
        for key, (one, file) in candidates.items()
    )
    breaches = _breaches(settings, loaded, measurements)
    return Report(
        passed=not breaches,
        breaches=tuple(breaches),
        recommendation=recommend(measurements, settings),
        thresholds=settings.thresholds,
        require=settings.require,
        timing=Timing(
            rounds=settings.rounds,
            calls=settings.calls,
            warmup=settings.warmup,
            budget_seconds=settings.budget_seconds,
            timeout_seconds=settings.timeout_seconds,
            memory_limit_mb=settings.memory_limit_mb,
            blocks=tuple(block.timing for block in blocks),
        ),
        machine=machine.fingerprint(),
        bundles=tuple(one.record() for one in loaded),
        measurements=measurements,
    )


def _measurement(
    one: Bundle, file: Artifact, lacking: str | None, failure: str | None, blocks: Sequence[Block]
) -> Measurement:
    """Combines an artifact's results at every number of threads into one row."""
    key, first = (one.label, file.name), blocks[0]
    measured_parity, verdict = first.checks.get(key, (None, gate.Verdict([], [])))
    breaches, remarks = [*verdict.breaches], [*verdict.remarks]
    if lacking:
        remarks.append(lacking)
    if failure:
        refused = any(key in block.refused for block in blocks)
        (remarks if refused else breaches).append(failure)
        status = REFUSED if refused else FAILED
    else:
        status = BREACHED if breaches else PASSED
    opened = first.starts[key].opened if key in first.starts else None
    if key in first.checks and len(one.images) < one.test_set_count:
        remarks.append(f"on {len(one.images):,} of {one.test_set_count:,} test images")
    return Measurement(
        bundle=one.label,
        variant=file.variant,
        format=file.format,
        precision=file.precision,
        file=file.record.file,
        size_bytes=file.record.size_bytes,
        sha256=file.record.sha256,
        status=NOT_INSTALLED if lacking else status,
        kernels=file.kernels,
        breaches=tuple(breaches),
        remarks=tuple(remarks),
        runtime=opened.runtime if opened else None,
        batch=opened.batch if opened else None,
        arena_bytes=opened.arena_bytes if opened else None,
        compiled_bytes=opened.compiled_bytes if opened else None,
        parity=measured_parity,
        differences=first.differences.get(key, ()),
        latency=tuple(block.latency[key] for block in blocks if key in block.latency),
        robustness=first.robustness.get(key),
    )


# Why a row that `--require` names was not measured.
_UNMEASURED = {NOT_INSTALLED: "its runtime is not installed", REFUSED: "its runtime refuses it"}


def _breaches(
    settings: BenchmarkSettings, loaded: Sequence[Bundle], measurements: Sequence[Measurement]
) -> list[str]:
    """Returns every breach of the run, each prefixed with its row's name."""
    found = []
    for one in loaded:
        rows = [row for row in measurements if row.bundle == one.label]
        breaches = [f"{row.name(False)}: {breach}" for row in rows for breach in row.breaches]
        statuses = {row.name(False): row.status for row in rows}
        required = [name for name in settings.require if name != ALL]
        if ALL in settings.require:
            required += [name for name, status in statuses.items() if status != REFUSED]
        breaches += gate.missing(dict.fromkeys(required), statuses, _UNMEASURED)
        passed = [v for v, status in statuses.items() if v != KERAS_ROW and status == PASSED]
        if not passed and not breaches:
            breaches.append("no artifact could be measured: no runtime for them is installed")
        found += [f"{one.label}/{breach}" if len(loaded) > 1 else breach for breach in breaches]
    return found
