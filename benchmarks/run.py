"""Run every artifact of every bundle, judge it, time it."""

import contextlib
import dataclasses

import numpy as np

from mnist_edge import bundle, gate
from mnist_edge.errors import InputError
from mnist_edge.manifest import KERAS_ROW

from . import bundles, latency, machine, overhead, parity, progress, robustness, rounds, worker
from .measurement import BREACHED, NOT_INSTALLED, PASSED, contend
from .recommend import recommend
from .settings import ALL
from .worker import Allowance, Worker, WorkerFailed

SCHEMA = 2
# Images that calls are timed on, in turn.
_KEPT_COUNT = 1000


def judge(settings, read=None):
    """Judges and times every artifact of every bundle, each in a process of its own.

    Args:
        settings: A `BenchmarkSettings`.
        read: Its bundles, where `bundles.load_all` has read them already.

    Returns:
        The result, a dict as `benchmark.json` holds it; see docs/benchmark-schema.md.

    Raises:
        InputError: A bundle is missing or damaged, or a limit leaves no room to measure.
    """
    read = read or bundles.load_all(settings.bundles)
    for one in read if settings.robustness else ():
        robustness.check(one.images.shape[1:], one.folder)
    contenders = [contend(one, entry) for one in read for entry in one.entries]
    blocks, distorted = [], None
    for threads in settings.threads:
        with contextlib.ExitStack() as stack:
            allowance = _allowance(settings, threads)
            workers = _start_all(settings, contenders, threads, allowance, stack)
            blocks.append(
                {"threads": threads, "pinned_cores": allowance.cores}
                | _time_all(settings, contenders, workers)
            )
            if settings.robustness and threads == settings.threads[0]:
                distorted = robustness.measure(settings, contenders, workers)
    rows = [contender.row for contender in contenders]
    breaches = _breaches(settings, read, contenders)
    return _document(settings, read, rows, breaches, blocks) | {"robustness": distorted}


def _document(settings, read, rows, breaches, blocks):
    counts = ("rounds", "calls", "warmup", "timeout_seconds", "memory_limit_mb")
    return {
        "schema": SCHEMA,
        "project": bundle.PROJECT,
        "passed": not breaches,
        "breaches": breaches,
        "recommendation": recommend(rows, settings),
        "limits": dataclasses.asdict(settings.limits) | {"require": list(settings.require)},
        "timing": {name: getattr(settings, name) for name in counts} | {"blocks": blocks},
        "machine": machine.fingerprint(),
        "bundles": [one.record() for one in read],
        "rows": rows,
    }


def _allowance(settings, threads):
    cores = machine.cores_for(threads) if settings.pin else None
    return Allowance(settings.timeout_seconds, settings.memory_limit_mb, cores)


def _start_all(settings, contenders, threads, allowance, stack):
    """Opens what can be opened and, the first time, judges it; returns workers by row."""
    is_first = threads == settings.threads[0]
    ready = [c for c in contenders if c.row["status"] in (PASSED, BREACHED)]
    steps = sum(worker.chunks(len(c.bundle.images)) if is_first else 1 for c in ready)
    workers = {}
    with progress.bar(steps, "images", settings.progress) as done:
        for contender in ready:
            try:
                one = stack.enter_context(Worker(contender.path, threads, allowance))
                start = _start(one, contender, threads, allowance.cores)
                if is_first:
                    _judge(one, contender, settings.limits, done)
                one.keep(contender.bundle.images[:_KEPT_COUNT])
            except WorkerFailed as error:
                contender.fail(error)
                continue
            contender.row["latency"].append(start)
            workers[contender.key] = one
    for name in (overhead.EMPTY_CALL, overhead.REFERENCE_WORKLOAD):
        try:
            workers[name] = stack.enter_context(Worker(name, threads, allowance))
            workers[name].keep(np.zeros((1, 1), np.float32))
        except WorkerFailed as error:
            raise _harness_failed(error) from error
    _start_empty_graphs(contenders, threads, allowance, stack, workers)
    return workers


def _start_empty_graphs(contenders, threads, allowance, stack, workers):
    """Opens the empty graph of each runtime that opened an artifact; adds to `workers`."""
    opened = {c.row["format"] for c in contenders if c.key in workers}
    for format, path in overhead.GRAPHS.items():
        if format not in opened:
            continue
        with contextlib.suppress(WorkerFailed):  # no artifact's fault: the figure is left out
            one = stack.enter_context(Worker(path, threads, allowance))
            one.keep(np.zeros((1, 28, 28, 1), np.float32))
            workers[path] = one


def _harness_failed(error):
    return InputError(
        f"the harness's own process, which opens no artifact, failed: {error}. "
        "Raise --memory-limit-mb or --timeout-seconds."
    )


def _start(one, contender, threads, cores):
    """Makes the first call; returns the beginning of the row's latency block."""
    contender.row["runtime"], contender.row["batch"] = one.opened["runtime"], one.opened["batch"]
    costs = ("import_ms", "load_ms", "memory_idle_bytes")
    first = one.first_call(contender.bundle.images[: one.opened["batch"] or 1])
    return {
        "threads": threads,
        "pinned_cores": cores,
        **{name: one.opened[name] for name in costs},
        **first,
    }


def _judge(one, contender, limits, chunk_done):
    """Compares the artifact with the reference; fills in the row's figures and breaches."""
    given, row = contender.bundle, contender.row
    answers = one.predict(given.images, chunk_done, given.reference.shape[1])
    probabilities = parity.as_probabilities(answers, contender.entry)
    is_float32 = row["precision"] == "float32"
    verdict = gate.judge(probabilities, given.reference, given.labels, is_float32, limits)
    row["breaches"] += verdict.breaches
    row["remarks"] += verdict.remarks
    if row["breaches"]:
        row["status"] = BREACHED
    if probabilities.shape == given.reference.shape and np.isfinite(probabilities).all():
        row |= parity.measure(probabilities, given.reference, given.labels)


def _time_all(settings, contenders, workers):
    """Times the workers; fills in the rows and returns what the harness itself cost."""
    by_key = {contender.key: contender for contender in contenders}

    def failed(key, error):
        if key in (overhead.EMPTY_CALL, overhead.REFERENCE_WORKLOAD):
            raise _harness_failed(error) from error
        if key in by_key:
            by_key[key].fail(error)

    turns = (settings.rounds + 1) * len(workers)
    with progress.bar(turns, "timing", settings.progress) as done:
        samples = rounds.in_rounds(
            workers, settings.rounds, settings.calls, settings.warmup, failed, done
        )
    summaries = {key: latency.summary(taken) for key, taken in samples.items()}
    for one in {key[0]: contender.bundle for key, contender in by_key.items()}.values():
        keys = [key for key in by_key if key in summaries and key[0] == one.label]
        rounds.add_ratios({key[1]: summaries[key] for key in keys}, one.float_siblings)
    graphs = [
        {"runtime": workers[path].opened["runtime"], "p50_us": summaries[path]["p50_us"]}
        for path in overhead.GRAPHS.values()
        if path in summaries
    ]
    empty_us = {graph["runtime"]: graph["p50_us"] for graph in graphs}
    for key, contender in by_key.items():
        if key in summaries:
            rounds.add_floor(summaries[key], empty_us.get(contender.row["runtime"]))
            contender.row["latency"][-1] |= summaries[key]
        elif key in workers:
            contender.row["latency"].pop()
    empty, yardstick = summaries[overhead.EMPTY_CALL], summaries[overhead.REFERENCE_WORKLOAD]
    return {
        "empty_call_p50_us": empty["p50_us"],
        "empty_graphs": graphs,
        "yardstick_p50_us": yardstick["p50_us"],
        "yardstick_p50_interval_us": yardstick["p50_interval_us"],
    }


def _breaches(settings, read, contenders):
    """Every breach of the run, with the row that it is of."""
    several = len(read) > 1
    found = []
    for one in read:
        rows = [c.row for c in contenders if c.bundle is one]
        breaches = [f"{row['variant']}: {cause}" for row in rows for cause in row["breaches"]]
        statuses = {row["variant"]: row["status"] for row in rows}
        required = [variant for variant in settings.require if variant != ALL]
        required += statuses if ALL in settings.require else ()
        breaches += gate.missing(dict.fromkeys(required), statuses, NOT_INSTALLED)
        judged = [v for v, status in statuses.items() if v != KERAS_ROW and status == PASSED]
        if not judged and not breaches:
            breaches.append("no artifact could be judged: no runtime for any is installed")
        found += [f"{one.label}/{breach}" if several else breach for breach in breaches]
    return found
