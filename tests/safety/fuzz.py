"""Give the benchmark mutants of a bundle's artifacts and count what becomes of them.

    python -m tests.safety.fuzz artifacts/edge --mutants 3000 --seed 1

takes each mutant as `python -m benchmarks` takes an artifact whose hash is the manifest's:
between it and the verdict stand its runtime, the limits of its process and the gate. Then
audits it as `python -m export.audit` does. One process takes many mutants; it is started
anew when one ends it, and that one is given to a new process to make sure that it was it.
Exits with 1 where a mutant raised anything in this process.
"""

import argparse
import collections
import contextlib
import dataclasses
import re
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np

from benchmarks import bundles, overhead, parity
from benchmarks.worker import Allowance, Worker, WorkerFailed
from export import audit
from mnist_edge import gate, heads
from mnist_edge.errors import InputError
from mnist_edge.safety import limits
from tests.mutants import mutants

REFUSED, FAILED, CAUGHT, HARMLESS = "refused", "failed row", "caught by parity", "harmless"
DEATH = "parent death"
# A mutant's answers to so many images are checked.
_IMAGES = 250
_ALLOWANCE = Allowance(timeout_seconds=10, memory_limit_mb=1000)


@dataclasses.dataclass
class Counts:
    """What became of the mutants of one format.

    Attributes:
        outcomes: How many, by outcome.
        causes: How many failed rows, by the kind of their cause.
        audits: How many the audit passed, found fault with and refused.
        other_bits: How many harmless ones compute other bits than their file.
        deaths: Tracebacks of what mutants raised here.
        examples: A cause by outcome.
        seconds: How long it took.
        slowest_seconds: The longest that one took, audit left out.
        growth_bytes: What this process's peak resident memory grew by.
    """

    outcomes: collections.Counter
    causes: collections.Counter
    audits: collections.Counter
    other_bits: int = 0
    deaths: list = dataclasses.field(default_factory=list)
    examples: dict = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    slowest_seconds: float = 0.0
    growth_bytes: int = 0


class _Bench:
    """One process for many mutants of a format."""

    def __init__(self, format, read):
        self._format, self._read, self._worker = format, read, None
        self._images = read.images[:_IMAGES]
        self._plain = {}

    def plain(self, entry):
        """What the artifact itself answers."""
        if entry.variant not in self._plain:
            with Worker(entry.path, 1) as one:
                self._plain[entry.variant] = one.predict(self._images)
        return self._plain[entry.variant]

    def take(self, path, entry):
        """`(outcome, cause)` of a mutant."""
        was_used = self._worker is not None
        outcome, cause = self._take(path, entry)
        if self._worker is None and was_used:  # was it this mutant, or one before it?
            outcome, cause = self._take(path, entry)
        return outcome, cause

    def _take(self, path, entry):
        if self._worker is None:
            self._worker = Worker(overhead.GRAPHS[self._format], 1, _ALLOWANCE)
        try:
            self._worker.open(path)
        except WorkerFailed as error:
            return (REFUSED if self._lives_on() else FAILED), str(error)
        try:
            probabilities = self._worker.predict(self._images)
        except WorkerFailed as error:
            self._lives_on()
            return FAILED, str(error)
        reference, labels = self._read.reference[:_IMAGES], self._read.labels[:_IMAGES]
        verdict = gate.check(probabilities, reference, labels, entry.is_float32, gate.Thresholds())
        if verdict.breaches:
            return CAUGHT, verdict.breaches[0]
        ends = heads.plain([""] * reference.shape[1])
        parity.of_outputs(probabilities, reference, labels, ends, gate.Thresholds())
        same = np.array_equal(probabilities, self.plain(entry))
        return HARMLESS, "the same bits" if same else "other bits"

    def _lives_on(self):
        if self._worker.is_alive():
            return True
        self.close()
        return False

    def close(self):
        if self._worker is not None:
            self._worker.close()
            self._worker = None


def run(folder, format, count, seed=0, audited=True):
    """Gives mutants to the benchmark and the audit.

    Args:
        folder: A bundle, exported.
        format: "tflite" or "onnx".
        count: How many mutants.
        seed: Which.
        audited: Whether the audit gets them as well.

    Returns:
        A `Counts`.
    """
    (read,) = bundles.load_all([Path(folder)])
    entries = {one.variant: one for one in read.artifacts if one.format == format}
    contents = {name: one.path.read_bytes() for name, one in entries.items()}
    counts = Counts(collections.Counter(), collections.Counter(), collections.Counter())
    bench, auditor = _Bench(format, read), _Auditor()
    for entry in entries.values():
        bench.plain(entry)
    list(mutants(format, contents, 1))  # the parsers' import is no growth
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak is what is held now
    before, started = limits.peak_resident_bytes() or 0, time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        for name, content in mutants(format, contents, count, seed):
            entry = entries[name.split()[1]]
            path = Path(work) / entry.path.name
            path.write_bytes(content)
            try:
                _count(counts, bench, path, entry)
                if audited:
                    counts.audits[auditor.take(path)] += 1
            except Exception:  # whatever it is: it must not have come so far
                counts.outcomes[DEATH] += 1
                counts.deaths.append(f"{name}\n{traceback.format_exc()}")
    bench.close()
    auditor.close()
    counts.seconds = time.monotonic() - started
    counts.growth_bytes = (limits.peak_resident_bytes() or 0) - before
    return counts


def _count(counts, bench, path, entry):
    started = time.monotonic()
    outcome, cause = bench.take(path, entry)
    counts.slowest_seconds = max(counts.slowest_seconds, time.monotonic() - started)
    counts.outcomes[outcome] += 1
    counts.examples.setdefault(outcome, cause)
    counts.other_bits += cause == "other bits"
    if outcome == FAILED:
        counts.causes[_kind(cause)] += 1


def _kind(cause):
    """The kind of a failed row's cause: what ended the process, or the words of who refused."""
    for start in ("runtime crashed by ", "no answer to ", "took "):
        if cause.startswith(start):
            return re.sub(r"\d+", "N", " ".join(cause.split()[:4]))
    return "raised or gave something else when it ran"


class _Auditor:
    """One process that audits many mutants."""

    def __init__(self):
        self._process = None

    def take(self, path):
        if self._process is None:
            self._process = audit.reader()
        try:
            passed = audit.ask(self._process, path).passed
        except InputError:
            if self._process.is_alive():
                return "refused"
            self.close()
            return "reader died"
        return "passed" if passed else "found"

    def close(self):
        if self._process is not None:
            self._process.close()
            self._process = None


def main(argv=None):
    """Parses `argv`, runs both formats, prints the counts; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", nargs="?", default="artifacts/edge")
    parser.add_argument("--mutants", type=int, default=300, help="of each format")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(argv)
    died = 0
    for format in overhead.GRAPHS:
        counts = run(asked.bundle, format, asked.mutants, asked.seed)
        shown = ", ".join(f"{n} {outcome}" for outcome, n in counts.outcomes.most_common())
        print(f"{format}: {asked.mutants} mutants of seed {asked.seed}: {shown}")
        print(f"  {counts.other_bits} of the harmless compute other bits")
        for cause, n in counts.causes.most_common():
            print(f"  {n:>5} {cause}")
        print(f"  audit: {', '.join(f'{n} {o}' for o, n in counts.audits.most_common())}")
        print(
            f"  parent deaths {len(counts.deaths)}, parent's memory "
            f"{counts.growth_bytes / 1e6:+.1f} MB, slowest {counts.slowest_seconds:.1f} s, "
            f"all {counts.seconds:.0f} s"
        )
        for death in counts.deaths:
            print(death, file=sys.stderr)
        died += len(counts.deaths)
    return 1 if died else 0


if __name__ == "__main__":
    sys.exit(main())
