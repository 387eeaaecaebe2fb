"""One block of a benchmark: opens, checks and times the artifacts at one number of threads."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from mnist_edge import cli, gate, runtimes
from mnist_edge.errors import InputError

from . import latency, machine, overhead, parity, progress, robustness
from .bundles import Artifact, Bundle
from .latency import Start
from .measurement import (
    Difference,
    Latency,
    Parity,
    Robustness,
    RuntimeOverhead,
    TimingBlock,
)
from .settings import BenchmarkSettings
from .worker import Allowance, Refused, Worker, WorkerFailed

Result = TypeVar("Result")
# Identifies a row within a run: its bundle's label and its name.
Key = tuple[str, str]
# Each artifact of the run, with its bundle.
Candidates = Mapping[Key, tuple[Bundle, Artifact]]

# Takes the place of a bundle's label in the keys of the harness's own calls; printable labels
# can't contain it.
_HARNESS = "\0"
EMPTY_CALL = (_HARNESS, overhead.EMPTY_CALL)
REFERENCE_WORKLOAD = (_HARNESS, overhead.REFERENCE_WORKLOAD)


@dataclasses.dataclass(frozen=True)
class Block:
    """Results at one number of threads; only the first block has `checks` and `robustness`."""

    timing: TimingBlock
    starts: Mapping[Key, Start]
    checks: Mapping[Key, tuple[Parity | None, gate.Verdict]]
    latency: Mapping[Key, Latency]
    robustness: Mapping[Key, Robustness]
    differences: Mapping[Key, tuple[Difference, ...]]
    failures: Mapping[Key, str]
    refused: Collection[Key]


def run_block(settings: BenchmarkSettings, candidates: Candidates, threads: int) -> Block:
    """Opens and times the artifacts at one number of threads; the first block also checks them."""
    is_first = threads == settings.threads[0]
    with contextlib.ExitStack() as stack:
        session = _Session(settings, candidates, threads, stack)
        starts = session.for_each(session.open, "opening")
        checks = session.for_each(session.check, "predictions") if is_first else {}
        samples, overheads = session.time()
        robust = session.robustness() if is_first and settings.robustness else {}
    times = {key: latency.summarize(one) for key, one in samples.items()}
    latencies: dict[Key, Latency] = {}
    for one in {label: one for (label, _), (one, _) in candidates.items()}.values():
        measured = latency.combine(
            {name: own for (label, name), own in times.items() if label == one.label},
            {name: start for (label, name), start in starts.items() if label == one.label},
            {
                name: file.float_sibling
                for (label, name), (_, file) in candidates.items()
                if label == one.label and not file.is_float32
            },
            {each.runtime: each.p50_us for each in overheads},
        )
        latencies |= {(one.label, name): result for name, result in measured.items()}
    workload = times[REFERENCE_WORKLOAD]
    timing = TimingBlock(
        threads=threads,
        rounds=len(next(iter(samples[EMPTY_CALL].values()))),
        seconds=round(session.timed_seconds, 3),
        pinned_cores=session.allowance.cores,
        harness_overhead_p50_us=times[EMPTY_CALL].p50_us,
        runtime_overhead=overheads,
        reference_workload_p50_us=workload.p50_us,
        reference_workload_p50_interval_us=workload.p50_interval_us,
    )
    return Block(
        timing=timing,
        starts=starts,
        checks=checks,
        latency=latencies,
        robustness=robust,
        differences=session.differences,
        failures=session.failures,
        refused=session.refused,
    )


class _Session:
    """Worker processes of one block, closed with `stack`, and the failures among them."""

    def __init__(
        self,
        settings: BenchmarkSettings,
        candidates: Candidates,
        threads: int,
        stack: contextlib.ExitStack,
    ) -> None:
        cores = machine.cores_for(threads) if settings.pin else None
        self.allowance = Allowance(settings.timeout_seconds, settings.memory_limit_mb, cores)
        self.failures: dict[Key, str] = {}
        self.refused: set[Key] = set()  # of the failures, those of kernel sets that may refuse
        self.differences: dict[Key, tuple[Difference, ...]] = {}
        self._outputs: dict[Key, np.ndarray] = {}  # of rows that are compared with others
        self._settings, self._candidates = settings, candidates
        self._threads, self._stack = threads, stack
        self._workers: dict[Key, Worker] = {}
        self.timed_seconds = 0.0

    def for_each(self, step: Callable[[Key], Result], title: str) -> dict[Key, Result]:
        """Returns the step's result for each artifact; skips artifacts that have failed."""
        results = {}
        remaining = [key for key in self._candidates if key not in self.failures]
        with progress.bar(len(remaining), title) as done:
            for key in remaining:
                done(0, "/".join(key))
                try:
                    results[key] = step(key)
                except WorkerFailed as error:
                    self._fail(key, error)
                done()
        return results

    def _fail(self, key: Key, error: WorkerFailed) -> None:
        if key in (EMPTY_CALL, REFERENCE_WORKLOAD):
            raise InputError(
                "the benchmark's own process, which opens no artifact, must run. "
                f"Got: {error}. Raise --memory-limit-mb or --timeout-seconds."
            ) from error
        if key in self._candidates:  # failing to time a runtime's overhead fails no artifact
            self.failures[key] = cli.printable(error)
            kernels = self._candidates[key][1].kernels
            if kernels and runtimes.KERNELS[kernels].is_partial and isinstance(error, Refused):
                self.refused.add(key)

    def _open(self, path: Path | str, kernels: str | None = None) -> Worker:
        opened = Worker(path, self._threads, self.allowance, kernels or "")
        return self._stack.enter_context(opened)

    def open(self, key: Key) -> Start:
        """Opens an artifact, makes its first call and sends it the images for timing."""
        one, file = self._candidates[key]
        self._workers[key] = process = self._open(file.path, file.kernels)
        first = process.first_call(one.images[: process.opened.batch or 1])
        process.keep(one.images)
        process.time_calls(1)  # by which `check` sizes its requests; the first call takes longer
        cores = self.allowance.cores
        return Start(self._threads, cores, process.imported, process.opened, first)

    def check(self, key: Key) -> tuple[Parity | None, gate.Verdict]:
        """Returns an artifact's parity and the gate's verdict.

        Parity is None if the predictions have another shape than the reference or are not finite.
        """
        one, file = self._candidates[key]
        with progress.bar(len(one.images), key[1]) as done:
            outputs = self._workers[key].predict(one.images, one.reference.shape[1], done)
        found, parts, thresholds = file.finish(outputs), one.heads, self._settings.thresholds
        verdict = gate.check(found, one.reference, one.labels, file.is_float32, thresholds, parts)
        if found.shape != one.reference.shape or not np.isfinite(found).all():
            return None, verdict
        self._compare(key, found)
        arrays = found, one.reference, one.labels, parts, thresholds
        if len(parts) > 1:
            compared = zip(parts, gate.compare(*arrays), strict=True)
            verdict.remarks.extend(
                f"{part.name}: agreement {each.hits[0].mean():.2%}" for part, each in compared
            )
        return parity.of_outputs(*arrays, one.indices), verdict

    def _compare(self, key: Key, outputs: np.ndarray) -> None:
        """Notes how far a row's outputs differ from those of the same weights, run before."""
        parts, weights = self._candidates[key][0].heads, self._candidates[key][1].weights
        same = [
            other
            for other, (one, file) in self._candidates.items()
            if (one.label, file.weights) == (key[0], weights)
        ]
        if len(same) > 1:
            self.differences[key] = tuple(
                parity.difference(other[1], outputs, self._outputs[other], parts)
                for other in same
                if other in self._outputs
            )
            self._outputs[key] = outputs

    def robustness(self) -> dict[Key, Robustness]:
        """Measures the artifacts on distorted test images, one distortion at a time."""
        loaded = {label: one for (label, _), (one, _) in self._candidates.items()}
        count, source = self._settings.robustness_count, self._settings.data
        others = self._settings.no_digit
        alike: dict[str, dict[str, np.ndarray]] = {label: {} for label in loaded}
        found: dict[Key, dict[str, np.ndarray]] = {key: {} for key in self._candidates}
        truth: dict[str, dict[str, np.ndarray]] = {label: {} for label in loaded}
        for name in robustness.names(source, others):
            # Once for bundles of the same data.
            made: dict[object, tuple[robustness.Pair, np.ndarray | None]] = {}
            pairs = {}
            for label, one in loaded.items():
                manifest = one.manifest
                same = (manifest.data.sha256, one.images.shape, tuple(manifest.model.input_range))
                if same not in made:
                    pair = robustness.distorted(one, name, count, source, others)
                    made[same] = pair, robustness.likenesses(one, pair[0])
                pairs[label], likenesses = made[same]
                if likenesses is not None:
                    alike[label][name] = likenesses

            def outputs(key: Key, name: str = name, pairs: Mapping = pairs) -> np.ndarray:
                images, _ = pairs[key[0]]
                return robustness.outputs(
                    self._workers[key], self._candidates[key][1], images, name
                )

            for key, probabilities in self.for_each(outputs, name).items():
                found[key][name] = probabilities
            for label, (_, labels) in pairs.items():
                truth[label][name] = labels
        return {
            key: robustness.record(one, truth[key[0]], source, alike[key[0]])
            for key, one in found.items()
            if key not in self.failures
        }

    def time(self) -> tuple[dict[Key, latency.Samples], tuple[RuntimeOverhead, ...]]:
        """Times the artifacts, the harness and each runtime's overhead in the same rounds."""
        effort = self._settings.effort
        workers = {k: process for k, process in self._workers.items() if k not in self.failures}
        files = [self._candidates[key][1] for key in workers]
        harness = self._open_harness({(file.format, file.kernels) for file in files})
        workers |= harness
        turns, before = effort.turns(len(workers)), time.monotonic()
        with progress.bar(turns or effort.seconds, "timing") as done:
            samples = latency.in_rounds(
                workers,
                effort,
                self._fail,
                lambda key, seconds: done(1 if turns else seconds, key[1]),
            )
        self.timed_seconds = time.monotonic() - before
        overheads = (
            RuntimeOverhead(process.opened.runtime, latency.summarize(samples[key]).p50_us)
            for key, process in harness.items()
            if key in samples and key not in (EMPTY_CALL, REFERENCE_WORKLOAD)
        )
        return samples, tuple(overheads)

    def _open_harness(self, used: set[tuple[str, str | None]]) -> dict[Key, Worker]:
        """Opens the empty call, the reference workload and an overhead graph per runtime.

        Args:
            used: Formats and kernel sets of the rows.
        """
        paths: dict[Key, tuple[Path | str, str | None]] = {
            key: (key[1], None) for key in (EMPTY_CALL, REFERENCE_WORKLOAD)
        }
        paths |= {
            (_HARNESS, kernels or name): (path, kernels)
            for name, path in overhead.GRAPHS.items()
            for kernels in (None, *runtimes.KERNELS)
            if (name, kernels) in used
        }
        workers = {}
        for key, graph in paths.items():
            try:
                process = self._open(*graph)
                process.keep(np.zeros((1, 28, 28, 1), np.float32))
                workers[key] = process
            except WorkerFailed as error:
                self._fail(key, error)
        return workers
