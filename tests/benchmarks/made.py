"""Reports made up for tests."""

import dataclasses

from benchmarks.child import FirstCall, Imported, Opened
from benchmarks.latency import Start
from benchmarks.measurement import (
    PASSED,
    CallTimes,
    Disagreements,
    Latency,
    Measurement,
    Parity,
    Report,
)

START = Start(1, None, Imported(1, 1_000_000), Opened("LiteRT 1", 1, 1), FirstCall(1, 2_000_000))


def times(p50_us, noise: float | None = 0.1):
    """Calls of one artifact; no noise: too few rounds for an interval."""
    ends = None if noise is None else (p50_us - noise, p50_us + noise)
    return CallTimes(100, p50_us, ends, p50_us, p50_us, p50_us, {"1": 1000})


def row(variant, accuracy, size_kb, p50_us, status=PASSED, bundle="edge", noise=0.1):
    """A row that was measured."""
    ends = accuracy - 0.001, accuracy + 0.001
    nobody = Disagreements((), (), (), ())
    return Measurement(
        bundle=bundle,
        variant=variant,
        format=variant.partition("-")[0],
        precision="float32",
        file=variant,
        size_bytes=1000 * size_kb,
        sha256="0" * 64,
        status=status,
        parity=Parity(accuracy, ends, *(accuracy, 1, ends, 0, 0, 1, 0, 0, 0, 0, (), (), nobody)),
        latency=(
            Latency(
                **vars(times(p50_us, noise)),
                **vars(START.imported),
                **vars(START.first),
                threads=1,
                pinned_cores=None,
                load_ms=1,
                speedup_vs_keras=None,
                speedup_vs_tflite_float32=None,
                times_runtime_overhead=None,
                slower_than_float=None,
            ),
        ),
    )


def change(report: Report, variant, **changes):
    """A report with changes to one row."""
    rows = (
        dataclasses.replace(one, **changes) if one.variant == variant else one
        for one in report.measurements
    )
    return dataclasses.replace(report, measurements=tuple(rows))


def change_latency(report: Report, variant, **changes):
    """A report with changes to all latencies of one row, or of every one by "all"."""
    rows = (
        dataclasses.replace(
            one, latency=tuple(dataclasses.replace(each, **changes) for each in one.latency)
        )
        if variant in (one.variant, "all")
        else one
        for one in report.measurements
    )
    return dataclasses.replace(report, measurements=tuple(rows))
