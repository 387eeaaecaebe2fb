"""Measures a bundle's artifacts in a browser: parity, bytes, loads, calls."""

import dataclasses
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from mnist_edge import cli, gate
from mnist_edge.gate import Thresholds

from .. import overhead, parity, progress
from ..bundles import Bundle
from ..latency import is_above, median_interval
from ..measurement import (
    BREACHED,
    FAILED,
    NOT_INSTALLED,
    PASSED,
    BrowserCosts,
    BrowserRun,
    Latency,
    Measurement,
    Parity,
)
from ..worker import Worker
from . import chromium, npm, rows, server
from .chromium import PageFailed, Tab
from .rows import Row
from .settings import BrowserSettings

Result = TypeVar("Result")
# A round has so many batches, each of calls that take about so long, and so many single calls.
# A batch of 1 ms is off by half a percent at most, as the clock has steps of 5 µs.
_BATCHES, _BATCH_US, _SINGLES = 20, 1000, 50
_WARM_UP_US = 500_000  # in which the browser has compiled the WebAssembly anew, optimized
_PART = 1000  # images per request
_REFERENCE_CALLS = 200  # per round


@dataclasses.dataclass
class _Found:
    """What was measured of a row."""

    failure: str = ""
    cold: list[dict[str, float]] = dataclasses.field(default_factory=list)
    warm: list[dict[str, float]] = dataclasses.field(default_factory=list)
    fetched: tuple[str, ...] = ()
    parity: Parity | None = None
    verdict: gate.Verdict = dataclasses.field(default_factory=lambda: gate.Verdict([], []))
    batch_size: int = 1
    batches: list[list[float]] = dataclasses.field(default_factory=list)
    singles: list[list[float]] = dataclasses.field(default_factory=list)


def measure(
    settings: BrowserSettings, loaded: Bundle, thresholds: Thresholds
) -> tuple[list[Measurement], BrowserRun]:
    """Measures the rows of a bundle.

    Args:
        settings: What to measure and how.
        loaded: The bundle.
        thresholds: The gate's thresholds.

    Raises:
        InputError: A tool is missing, or the bundle has no C file.
    """
    listed = rows.of_bundle(loaded)
    chromium.command()
    cache = settings.cache or npm.cache()
    if settings.fetch:
        npm.fetch(cache)
    files, missing = rows.package_files(cache)
    files |= rows.page_files()
    found = {one.artifact.name: _Found(one.artifact.damage() or "") for one in listed}
    absent = {one.artifact.name: _absent(one, missing) for one in listed}
    running = [
        one for one in listed if not (found[one.artifact.name].failure or absent[one.artifact.name])
    ]
    for row in running:
        files[row.url] = rows.served(row)
        files.setdefault(row.inputs, row.encode(loaded.images).tobytes())
    with server.serving(files) as serving, chromium.started() as browser:
        session = _Session(settings, serving, browser, running, found)
        session.load()
        session.open()
        session.check(loaded, thresholds)
        run = session.time()
        measured = [
            _measurement(row, found, absent[row.artifact.name], loaded, serving, run)
            for row in listed
        ]
    return measured, run


def _absent(row: Row, missing: frozenset[str]) -> str:
    """Returns what to say of a row whose packages are not in the cache."""
    lacking = [str(one) for one in row.runtime.packages if one.name in missing]
    return f"{' and '.join(lacking)} not fetched: use --fetch" if lacking else ""


class _Session:
    """The rows of one run, in one browser; those that fail are left out from then on."""

    def __init__(
        self,
        settings: BrowserSettings,
        serving: server.Server,
        browser: Any,
        running: Sequence[Row],
        found: dict[str, _Found],
    ) -> None:
        self._settings, self._serving, self._browser = settings, serving, browser
        self._running, self._found = list(running), found

    def _each(self, step: Callable[[Row], object]) -> None:
        for row in tuple(self._running):
            try:
                step(row)
            except PageFailed as error:
                self._fail(row, str(error))

    def _fail(self, row: Row, cause: str) -> None:
        self._running.remove(row)
        self._found[row.artifact.name].failure = cli.printable(cause)

    def _tab(self, context: Any) -> Tab:
        return Tab(context, self._serving.address, self._settings.timeout_seconds)

    def load(self) -> None:
        """Opens each artifact on a first visit and on a second, several times."""
        with progress.bar(self._settings.loads * len(self._running), "loading") as done:

            def visit(row: Row) -> None:
                done(0, row.artifact.name)
                found, context = self._found[row.artifact.name], self._browser.new_context()
                try:
                    for times in (found.cold, found.warm):
                        self._serving.fetched.clear()
                        tab = self._tab(context)
                        times.append(_times(tab.ask("openModel", row.described())))
                        tab.close()
                        if times is found.cold:
                            found.fetched = tuple(filter(rows.is_counted, self._serving.fetched))
                finally:
                    context.close()
                done()

            for _ in range(self._settings.loads):
                self._each(visit)

    def open(self) -> None:
        """Opens all artifacts in one page, and sends it the test images."""
        self._page = self._tab(self._browser.new_context())

        def keep(row: Row) -> None:
            self._page.ask("openModel", row.described())
            self._page.ask("keepInputs", row.artifact.name)

        self._each(keep)

    def check(self, loaded: Bundle, thresholds: Thresholds) -> None:
        """Compares each row's outputs on all images with the reference."""
        count, parts = len(loaded.images), loaded.heads
        with progress.bar(count * len(self._running), "predictions") as done:

            def judge(row: Row) -> None:
                outputs = []
                for start in range(0, count, _PART):
                    end = min(start + _PART, count)
                    made = self._page.ask("predict", row.artifact.name, start, end)
                    outputs.append(_outputs(row, made, end - start))
                    done(end - start, row.artifact.name)
                own = row.artifact.finish(row.decode(np.concatenate(outputs)))
                found, arrays = self._found[row.artifact.name], (loaded.reference, loaded.labels)
                found.verdict = gate.check(own, *arrays, row.artifact.is_float32, thresholds, parts)
                if own.shape == loaded.reference.shape and np.isfinite(own).all():
                    found.parity = parity.of_outputs(
                        own, *arrays, parts, thresholds, loaded.indices
                    )

            self._each(judge)

    def time(self) -> BrowserRun:
        """Times the rows in turn, in each of several rounds, and the reference workload."""
        self._each(self._warm_up)
        reference = []
        with (
            Worker(overhead.REFERENCE_WORKLOAD, 1) as worker,
            progress.bar(self._settings.rounds * len(self._running), "timing") as done,
        ):
            worker.keep(np.zeros((1, 1), np.float32))

            def turn(row: Row) -> None:
                found = self._found[row.artifact.name]
                batch, single = self._calls(row, _BATCHES, found.batch_size, _SINGLES)
                found.batches.append(batch)
                found.singles.append(single)
                done(1, row.artifact.name)

            worker.time_calls(_REFERENCE_CALLS)
            for _ in range(self._settings.rounds):
                self._each(turn)
                reference.append(worker.time_calls(_REFERENCE_CALLS))
        times, version = np.stack(reference), self._browser.version
        return BrowserRun(
            browser=f"Chromium {version}",
            rounds=self._settings.rounds,
            loads=self._settings.loads,
            clock_step_us=round(float(self._page.ask("clockStep")), 3),
            reference_workload_p50_us=round(float(np.median(times)), 3),
            reference_workload_p50_interval_us=median_interval(times),
        )

    def _warm_up(self, row: Row) -> None:
        spent, size, per_call = 0.0, 1, 1.0
        while spent < _WARM_UP_US:
            (per_call,), _ = self._calls(row, 1, size, 0)
            spent, size = spent + per_call * size, 2 * size
        self._found[row.artifact.name].batch_size = max(1, math.ceil(_BATCH_US / per_call))

    def _calls(
        self, row: Row, batches: int, size: int, singles: int
    ) -> tuple[list[float], list[float]]:
        """Times calls; returns microseconds per call of each batch, and of each single call."""
        plan = {"batches": batches, "size": size, "singles": singles}
        made = self._page.ask("timeCalls", row.artifact.name, plan)
        times = [_numbers(made.get(name)) for name in ("batch", "single")]
        if list(map(len, times)) != [batches, singles] or min(times[0]) <= 0:
            raise PageFailed("answered with invalid times")
        return times[0], times[1]


def _numbers(values: object) -> list[float]:
    """Returns finite numbers of at least 0 from a page.

    Raises:
        PageFailed: They are something else.
    """
    if not isinstance(values, list) or not all(type(one) in (int, float) for one in values):
        raise PageFailed("answered with something else than numbers")
    if not all(0 <= one < math.inf for one in values):
        raise PageFailed("answered with invalid times")
    return [float(one) for one in values]


def _times(made: Any) -> dict[str, float]:
    names = ("import_ms", "open_ms", "first_ms")
    return dict(zip(names, _numbers([made.get(name) for name in names]), strict=True))


def _outputs(row: Row, made: object, count: int) -> np.ndarray:
    """Returns outputs `[count, width]` from a page."""
    try:
        values = np.array(made, np.float64)
        return values.reshape(count, -1) if values.ndim == 1 else values.reshape(count, 0)
    except (TypeError, ValueError) as error:
        raise PageFailed(f"answered with something else than {count} outputs") from error


def _measurement(
    row: Row,
    found: dict[str, _Found],
    absent: str,
    loaded: Bundle,
    serving: server.Server,
    run: BrowserRun,
) -> Measurement:
    file, own = row.artifact, found[row.artifact.name]
    breaches, remarks = [*own.verdict.breaches], [*own.verdict.remarks]
    if own.failure:
        breaches.append(own.failure)
    if absent:
        remarks.append(absent)
    if own.parity and len(loaded.images) < loaded.test_set_count:
        remarks.append(f"on {len(loaded.images):,} of {loaded.test_set_count:,} test images")
    status = FAILED if own.failure else BREACHED if breaches else PASSED
    is_timed = bool(own.batches) and not own.failure
    return Measurement(
        bundle=loaded.label,
        variant=file.variant,
        format=file.format,
        precision=file.precision,
        file=file.record.file,
        size_bytes=file.record.size_bytes,
        sha256=file.record.sha256,
        status=NOT_INSTALLED if absent and not own.failure else status,
        kernels=file.kernels,
        breaches=tuple(breaches),
        remarks=tuple(remarks),
        runtime=f"{row.runtime}, {run.browser}" if is_timed else None,
        batch=1 if is_timed else None,
        parity=own.parity,
        latency=(_latency(own, found.get(file.float_sibling)),) if is_timed else (),
        browser=_costs(own, serving) if is_timed else None,
    )


def _costs(own: _Found, serving: server.Server) -> BrowserCosts:
    cold, warm = (
        round(statistics.median(one["import_ms"] + one["open_ms"] for one in times), 3)
        for times in (own.cold, own.warm)
    )
    return BrowserCosts(
        file_count=len(own.fetched),
        wire_bytes=sum(len(serving.files[path]) for path in own.fetched),
        gzip_bytes=sum(map(serving.gzip_bytes, own.fetched)),
        cold_load_ms=cold,
        warm_load_ms=warm,
    )


def _latency(own: _Found, sibling: _Found | None) -> Latency:
    """Combines a row's times: the median of batches, the other percentiles of single calls."""
    batches, singles = np.array(own.batches), np.array(own.singles)
    p90, p99 = np.percentile(singles, [90, 99])
    cold = {name: statistics.median(one[name] for one in own.cold) for name in own.cold[0]}
    interval = median_interval(batches)
    other = median_interval(np.array(sibling.batches)) if sibling and sibling.batches else None
    return Latency(
        threads=1,
        pinned_cores=None,
        import_ms=round(cold["import_ms"], 3),
        load_ms=round(cold["open_ms"], 3),
        first_call_us=round(1000 * cold["first_ms"], 3),
        memory_idle_bytes=None,
        memory_peak_bytes=None,
        calls=batches.size * own.batch_size + singles.size,
        p50_us=round(float(np.median(batches)), 3),
        p50_interval_us=interval,
        p90_us=max(0.001, round(float(p90), 3)),
        p99_us=max(0.001, round(float(p99), 3)),
        max_us=max(0.001, round(float(singles.max()), 3)),
        images_per_second={"1": round(1e6 / float(batches.mean())), "32": None, "256": None},
        speedup_vs_keras=None,
        speedup_vs_tflite_float32=None,
        times_runtime_overhead=None,
        slower_than_float=is_above(interval, other),
    )
