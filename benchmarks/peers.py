"""Hold the harness against others' tools: is what it measures what they measure?

    python -m benchmarks.peers artifacts/edge

times each artefact with the harness, with `litert-benchmark` (of ai-edge-litert), with
`onnxruntime_test` (of onnxruntime) and with a bare loop over ONNX Runtime's I/O binding,
in turn, on one thread and the same core, and exits with 1 where the harness is further
from one of them than `--tolerance`.

Eight variants of `edge` and of `classic`, on two cores of an AMD EPYC: 0.90 to 1.00 of
litert-benchmark's medians, whose loop copies no arrays but goes through more Python;
0.98 to 1.00 of onnxruntime_test's; 1.00 to 1.10 of the loop that binds its arrays once.
"""

import dataclasses
import sys
import time
import types
from pathlib import Path

import numpy as np

from . import bundles, machine, tables
from .worker import Allowance, Worker, WorkerFailed
from mnist_edge import bundle, cli, expect, manifest, models
from mnist_edge.safety.isolated import Process
from mnist_edge.cli import InputError, setting


@dataclasses.dataclass(frozen=True)
class PeerSettings:
    """The settings of one comparison, and every default of the command line."""

    bundle: Path = setting(bundle.ARTIFACTS / models.DEFAULT, "folder that python -m export wrote")
    rounds: int = setting(5, "turns of each tool; the median of the rounds' ratios counts")
    calls: int = setting(1000, "timed calls a turn")
    tolerance: float = setting(0.15, "most that the harness may differ from a peer, as a share")

    def __post_init__(self):
        for name in ("rounds", "calls", "tolerance"):
            if getattr(self, name) <= 0:
                raise InputError(f"--{name} must be more than 0. Got: {getattr(self, name)}.")


def litert_benchmark(_, path, calls):
    """Median of `litert-benchmark`'s own loop, in µs."""
    from ai_edge_litert.tools import benchmark_litert_model as tool

    # The tool rounds its figures to 10 µs, which is longer than some of these calls.
    tool.round = lambda value, digits: value
    sys.argv = ["litert-benchmark", "--model", path, "--num_threads", "1"]
    sys.argv += ["--num_runs", str(calls), "--warmup_runs", str(calls // 10)]
    return 1000 * tool.run_benchmark(tool.parse_args())["latency"]["median_ms"]


def onnxruntime_test(_, path, calls):
    """Median, over runs of 50 calls, of the mean that `onnxruntime_test` measures, in µs."""
    from onnxruntime.tools import onnxruntime_test as tool

    session, ticks = _onnx_session(path), []

    def timer():
        ticks.append(time.perf_counter())
        return ticks[-1]

    # The tool opens its session on every core, and prints its mean instead of returning it.
    tool.onnxrt = types.SimpleNamespace(
        InferenceSession=lambda *_, **__: session, get_available_providers=lambda: None
    )
    tool.timer = timer
    for _ in range(max(2, calls // 50)):
        tool.run_model(path, 50)
    means = np.diff(np.reshape(ticks, (-1, 2))) / 50
    return 1e6 * float(np.median(means[1:]))  # the first run is the warm-up


def bare_loop(_, path, calls):
    """Median of ONNX Runtime's calls on arrays bound once, without any of the harness, in µs."""
    session = _onnx_session(path)
    (given,), (taken,) = session.get_inputs(), session.get_outputs()
    shape = [size if isinstance(size, int) else 1 for size in given.shape]
    binding = session.io_binding()
    binding.bind_cpu_input(given.name, np.random.default_rng(0).random(shape, np.float32))
    binding.bind_output(taken.name)
    taken_ns = []
    for _ in range(calls + calls // 10):
        before = time.perf_counter_ns()
        session.run_with_iobinding(binding)
        taken_ns.append(time.perf_counter_ns() - before)
    return float(np.median(taken_ns[calls // 10 :])) / 1000


def _onnx_session(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


# What each format's files are held against: the tool's name and its median in µs, found
# in a process of the tools' own.
PEERS = {
    "tflite": {"litert-benchmark": litert_benchmark},
    "onnx": {"onnxruntime_test": onnxruntime_test, "bare loop": bare_loop},
}


def compare(settings, report=print):
    """Times every artefact of a bundle by the harness and by its peers.

    Args:
        settings: A `PeerSettings`.
        report: Called with a line where an artefact is left out.

    Returns:
        list of dict: `file`, `peer`, `harness_us` and `peer_us`, medians over the
        rounds, and `ratio`, the median of the rounds' ratios.

    Raises:
        InputError: The bundle is missing or damaged.
    """
    (read,) = bundles.load_all([settings.bundle])
    cores = machine.cores_for(1)
    found = []
    for entry in read.manifest["artifacts"]:
        path = settings.bundle / entry["file"]
        cause = manifest.damage(path, entry)
        if cause:
            raise InputError(f"{path}: {cause}. Run: python -m export {settings.bundle}")
        try:
            found += _compare_one(settings, path, PEERS[entry["format"]], read.images, cores)
        except (ImportError, WorkerFailed) as error:
            report(f"{entry['file']}: not compared, {error}")
    return found


def _compare_one(settings, path, peers, images, cores):
    allowance = Allowance(cores=cores)
    tools = Process(peers, allowance, (ImportError,))
    with tools, Worker(path, 1, allowance) as worker:
        worker.keep(images[:1000])
        worker.time_calls(settings.calls // 10 + 1)
        medians = {peer: [] for peer in peers}
        for _ in range(settings.rounds):
            for peer in peers:
                ours = float(np.median(worker.time_calls(settings.calls)))
                theirs = tools.ask(peer, str(path), settings.calls)
                if not expect.POSITIVE.test(theirs):
                    raise WorkerFailed(f"{peer} measured no time")
                medians[peer].append((ours, theirs))
    return [
        {
            "file": path.name,
            "peer": peer,
            "harness_us": float(np.median([ours for ours, _ in pairs])),
            "peer_us": float(np.median([theirs for _, theirs in pairs])),
            "ratio": float(np.median([ours / theirs for ours, theirs in pairs])),
        }
        for peer, pairs in medians.items()
    ]


@cli.command
def main(argv=None):
    """Parses `argv`, compares, prints the table; returns the exit status."""
    settings = cli.parse_settings(PeerSettings, __doc__, argv, positional=["bundle"])
    found = compare(settings)
    headings = [("file", False), ("harness, µs", True), ("peer", False), ("peer's, µs", True)]
    lines = [
        [
            row["file"],
            f"{row['harness_us']:.2f}",
            row["peer"],
            f"{row['peer_us']:.2f}",
            f"{row['ratio']:.3f}",
        ]
        for row in found
    ]
    print(tables.layout([*headings, ("harness / peer", True)], lines))
    apart = [row for row in found if abs(row["ratio"] - 1) > settings.tolerance]
    for row in apart:
        print(f"APART {row['file']}: {row['ratio']:.3f} of {row['peer']}'s")
    print(f"{len(found) - len(apart)} of {len(found)} within {settings.tolerance:.0%}")
    return cli.OK if found and not apart else cli.GATE_BREACHED


if __name__ == "__main__":
    sys.exit(main())
