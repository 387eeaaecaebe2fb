"""Does an artifact stay itself under load: same bits, same memory, after a million calls?

    python -m benchmarks.soak artifacts/edge
    python -m benchmarks.soak artifacts/edge --processes 8 --predictions 20000

runs each artifact in a process of its own, lap after lap over the same test images, one
call an image, one thread. Every lap's results are hashed and must be the first lap's, bit
for bit; resident memory may grow by at most `--max-growth` over what it was when the first
fiftieth of the laps was done. With several processes all of them open the file at the same
moment, and must compute what one process alone computed. Exits with 1 on a breach.
"""

import dataclasses
import json
import sys
from pathlib import Path

from mnist_edge import bundle, cli, manifest, models, runtimes
from mnist_edge.cli import setting
from mnist_edge.errors import InputError
from mnist_edge.safety.isolated import Allowance, WorkerFailed

from . import bundles, laps, machine, progress, tables

_LAP_IMAGES = 1000
# The laps in which a runtime still fills its caches and pools: a fiftieth, at least one.
_WARMUP_SHARE = 50
PASSED, FAILED, SKIPPED = "passed", "FAILED", "skipped"


@dataclasses.dataclass(frozen=True)
class EnduranceSettings:
    """The settings of one run, and every default of the command line."""

    bundle: Path = setting(bundle.ARTIFACTS / models.DEFAULT, "folder that python -m export wrote")
    predictions: int = setting(1_000_000, "predictions of each process, rounded up to whole laps")
    variants: tuple[str, ...] = setting(
        ("keras", "tflite-int8", "tflite-float32", "onnx-float32"),
        "what to run; 'keras' is the model itself",
        nargs="+",
        metavar="VARIANT",
    )
    processes: int = setting(1, "processes that run an artifact at the same time")
    max_growth: float = setting(0.05, "most that resident memory may grow, as a share")
    timeout_seconds: float = setting(120, "a process that takes longer for a lap has failed")
    json: bool = setting(False, "end standard output with the result on one line of JSON")
    progress: bool = setting(True, "progress bars on standard error")

    def __post_init__(self):
        for name in ("predictions", "processes", "max_growth", "timeout_seconds"):
            if getattr(self, name) <= 0:
                flag = name.replace("_", "-")
                raise InputError(f"--{flag} must be more than 0. Got: {getattr(self, name)}.")


def run(settings):
    """Runs the chosen artifacts of a bundle.

    Args:
        settings: An `EnduranceSettings`.

    Yields:
        dict a variant: `variant`, `status` ("passed", "FAILED" or "skipped") and `causes`,
        list of str; what `judge` gives where it ran.

    Raises:
        InputError: The bundle is missing or damaged, or has no such variant.
    """
    (read,) = bundles.load_all([settings.bundle])
    entries = {entry["variant"]: entry for entry in read.entries}
    for variant in settings.variants:
        if variant not in entries:
            raise InputError(
                f"--variants must be among {', '.join(entries)}. Got: {variant}. "
                f"Leave it out, or run: python -m export {settings.bundle}"
            )
    images = read.images[:_LAP_IMAGES]
    for variant in settings.variants:
        path = settings.bundle / entries[variant]["file"]
        cause = manifest.damage(path, entries[variant])
        if cause:
            row = {"status": FAILED, "causes": [f"{path}: {cause}"]}
        elif not runtimes.is_installed(path):
            row = {"status": SKIPPED, "causes": ["its runtime is not installed"]}
        else:
            row = _run_one(settings, path, images, variant)
        yield {"variant": variant, **row}


def _run_one(settings, path, images, title):
    allowance, several = Allowance(settings.timeout_seconds), settings.processes
    count = -(-settings.predictions // len(images))
    try:
        alone = laps.at_once(path, images, 1, 1, allowance) if several > 1 else []
        with progress.bar(count * several, title, settings.progress) as lap_done:
            runs = laps.at_once(path, images, count, several, allowance, lap_done)
    except WorkerFailed as error:
        return {"status": FAILED, "causes": [f"{path}: {error}"]}
    _, (first, *_) = (alone or runs)[0]
    return judge(runs, first["sha256"], settings.max_growth)


def judge(runs, expected, max_growth):
    """What came of one artifact's runs.

    Args:
        runs: What `laps.at_once` returns.
        expected: SHA-256 that each lap's results must have.
        max_growth: Most that resident memory may grow, as a share.

    Returns:
        dict: `status`, `causes`, `runtime`, `processes`, `predictions` of all of them,
        `seconds` in the slowest one's calls, `predictions_per_second` in those seconds,
        `other_laps`, how many gave other bits, and of the process that grew most
        `resident_start_bytes` after the first laps, `resident_most_bytes` later, and
        `growth`, a share; None where the system does not tell.
    """
    runtime, _ = runs[0]
    predictions = sum(lap["predictions"] for _, done in runs for lap in done)
    seconds = max(sum(lap["seconds"] for lap in done) for _, done in runs)
    other_laps = sum(lap["sha256"] != expected for _, done in runs for lap in done)
    start, most, growth = max((_growth(done) for _, done in runs), key=lambda found: found[2] or 0)
    causes = []
    if other_laps:
        causes.append(f"{other_laps} laps gave other bits")
    if growth and growth > max_growth:
        causes.append(f"memory grew by {growth:.1%}, at most {max_growth:.1%} allowed")
    return {
        "status": FAILED if causes else PASSED,
        "causes": causes,
        "runtime": runtime,
        "processes": len(runs),
        "predictions": predictions,
        "predictions_per_second": round(predictions / seconds),
        "seconds": round(seconds, 1),
        "other_laps": other_laps,
        "resident_start_bytes": start,
        "resident_most_bytes": most,
        "growth": None if growth is None else round(growth, 6),
    }


def _growth(done):
    """Resident bytes after the first laps, the most later, and the share between them."""
    resident = [lap["resident_bytes"] for lap in done]
    start, *later = resident[max(1, len(resident) // _WARMUP_SHARE) - 1 :]
    if start is None:
        return None, None, None
    most = max([start, *later])
    return start, most, most / start - 1


_COLUMNS = (
    ("runtime", False, lambda row: row["runtime"]),
    ("processes", True, lambda row: str(row["processes"])),
    ("predictions", True, lambda row: f"{row['predictions']:,}"),
    ("a second", True, lambda row: f"{row['predictions_per_second']:,}"),
    ("laps with other bits", True, lambda row: str(row["other_laps"])),
    ("memory, MB", True, lambda row: f"{row['resident_start_bytes'] / 1e6:.1f}"),
    ("at most, MB", True, lambda row: f"{row['resident_most_bytes'] / 1e6:.1f}"),
    ("growth", True, lambda row: f"{row['growth']:.2%}"),
)


def table(rows):
    """The outcome as a Markdown table, a row a variant."""
    headings = [("artifact", False), *((name, right) for name, right, _ in _COLUMNS)]
    lines = [
        [row["variant"], *(_cell(show, row) for _, _, show in _COLUMNS), row["status"]]
        for row in rows
    ]
    return tables.layout([*headings, ("verdict", False)], lines)


def _cell(show, row):
    try:
        return show(row)
    except (KeyError, TypeError):  # a row that did not run, or a system that does not tell
        return tables.MISSING


@cli.command
def main(argv=None):
    """Parses `argv`, runs, prints the table; returns the exit status."""
    settings = cli.parse_settings(EnduranceSettings, __doc__, argv, positional=["bundle"])
    rows = list(run(settings))
    print(table(rows))
    for row in rows:
        for cause in row["causes"]:
            print(f"{row['variant']} {row['status']}: {cli.printable(cause)}")
    ran = [row for row in rows if row["status"] != SKIPPED]
    passed = bool(ran) and all(row["status"] == PASSED for row in ran)
    print(f"{sum(row['status'] == PASSED for row in rows)} of {len(rows)} artifacts endured")
    if settings.json:
        result = {"machine": machine.fingerprint(), "passed": passed, "rows": rows}
        print(json.dumps(result, separators=(",", ":"), allow_nan=False))
    return cli.OK if passed else cli.GATE_FAILED


if __name__ == "__main__":
    sys.exit(main())
