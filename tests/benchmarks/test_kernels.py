"""Rows of other kernels: the same artifact, run otherwise."""

import dataclasses
import json

import numpy as np
import pytest

from benchmarks import bundles, card, compare, measurement, parity, recommend, report
from benchmarks.__main__ import main
from benchmarks.measurement import Difference
from benchmarks.run import benchmark
from benchmarks.settings import BenchmarkSettings
from mnist_edge import heads, manifest, runtimes, schema
from mnist_edge.errors import InputError
from mnist_edge.runtimes import c_compiler
from mnist_edge.safety import c_source
from tests import tiny
from tests.benchmarks import made
from tests.conftest import QUICK

LITERT = ("reference", "no-delegate")


def run(folder, *kernels, **settings):
    return benchmark(folder, kernels=kernels, **(QUICK | settings))


def rows(found):
    return {row.name(False): row for row in found.measurements}


def test_rows_of_other_kernels_follow_their_artifact(tiny_bundle, without_keras):
    found = run(tiny_bundle, *LITERT, "unoptimized")
    assert found.passed
    assert list(rows(found)) == [
        "keras",
        "tflite-float32",
        "tflite-float32 (reference kernels)",
        "tflite-float32 (no delegate)",
        "onnx-float32",
        "onnx-float32 (no graph optimizations)",
    ]
    measured = list(rows(found).values())[1:]
    assert {row.status for row in measured} == {"passed"}
    assert len({row.runtime for row in measured}) == 5
    for row in measured:  # each against the overhead of its own runtime
        assert row.latency[0].times_runtime_overhead is not None
    assert rows(found)["tflite-float32 (no delegate)"].differences == (
        Difference("tflite-float32", 0, 0),
        Difference("tflite-float32 (reference kernels)", 0, 0),
    )
    assert schema.decode(measurement.Report, json.loads(json.dumps(schema.encode(found)))) == found
    assert found.records()[2]["kernels"] == "reference"


def test_without_being_asked_for_there_are_none(small):
    found = small.report
    assert not any(row.kernels or row.differences for row in found.measurements)
    assert "kernels" not in report.text(found)


def test_a_kernel_set_or_a_compiler_that_is_not_installed_is_a_row_that_says_so(
    with_c, without_keras, monkeypatch
):
    monkeypatch.setenv("CC", "/no/such/compiler")
    known = runtimes.is_installed
    monkeypatch.setattr(
        runtimes, "is_installed", lambda path, kernels="": kernels != "tflm" and known(path)
    )
    name = "tflite-float32 (TFLite Micro)"
    found = run(with_c, "tflm", require=(name,))
    row = rows(found)["c-int8"]
    assert (row.status, row.remarks) == ("not installed", (c_compiler.MISSING,))
    row = rows(found)[name]
    assert (row.status, row.parity) == ("not installed", None)
    assert row.remarks == ("tflite-micro is not installed",)
    assert found.breaches == (f"{name}: required and its runtime is not installed",)


def test_what_tflite_micro_refuses_is_no_breach_unless_required(tiny_bundle, without_keras):
    """Nobody opens the file; of LiteRT's kernels none may refuse."""
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    tiny.add(tiny_bundle, "tflite-float16", b"no flatbuffer at all")
    name = "tflite-float16 (TFLite Micro)"
    found = run(tiny_bundle, "reference", "tflm", require=(name,))
    assert rows(found)[name].status == "refused"
    assert rows(found)[name].remarks
    assert [breach.partition(": ")[0] for breach in found.breaches] == [
        "tflite-float16",
        "tflite-float16 (reference kernels)",
        name,
    ]
    assert found.breaches[-1] == f"{name}: required and its runtime refuses it"
    assert rows(found)["tflite-float32 (TFLite Micro)"].arena_bytes > 0


PARTS = (
    heads.Head("a", heads.CLASSES, ("0", "1")),
    heads.Head("b", heads.VALUES, ("x",)),
)


def test_differences_count_decisions_and_bytes():
    own = np.float32([[0.1, 0.9, 5], [0.6, 0.4, 5], [0.1, 0.9, 5], [0.1, 0.9, 5]])
    other = own.copy()
    other[1, :2] = 0.4, 0.6  # another decision
    other[2, 0] = np.nextafter(np.float32(0.1), np.float32(1))  # the last bit
    other[3, 2] = 6  # a value, which decides nothing
    assert parity.difference("r", own, other, PARTS) == Difference("r", 1, 3)
    assert parity.difference("r", own, own, PARTS) == Difference("r", 0, 0)


@pytest.fixture
def found(small):
    """The small bundle's report with three rows of other kernels."""
    default = rows(small.report)["tflite-int8"]
    against = Difference("tflite-int8", 2, 40)
    added = [
        dataclasses.replace(default, kernels="reference", differences=(against,)),
        dataclasses.replace(
            default,
            kernels="tflm",
            arena_bytes=9472,
            differences=(against, Difference("tflite-int8 (reference kernels)", 0, 0)),
        ),
    ]
    return dataclasses.replace(
        small.report, measurements=(*small.report.measurements, *added), passed=True
    )


def test_the_report_says_in_one_line_how_far_they_disagree(found):
    (line,) = [line for line in report.text(found).splitlines() if line.startswith("Other kern")]
    assert line == (
        "Other kernels, images decided otherwise / with a differing output byte: tflite-int8 "
        "against reference kernels 2 / 40, TFLite Micro 2 / 40 (as reference kernels)."
    )
    assert line in report.markdown(found)
    assert "arena 9,472 bytes" in report.text(found)


def test_the_artifact_to_ship_is_no_row_of_other_kernels(found):
    quick = dataclasses.replace(made.row("tflite-int8", 0.99, 1, 0.01), kernels="reference")
    slow = made.row("tflite-int8", 0.99, 1, 10)
    assert recommend.recommend([quick, slow], BenchmarkSettings()).ship == "tflite-int8"
    assert recommend.recommend([quick], BenchmarkSettings()).ship is None


def test_a_run_that_did_not_ask_for_other_kernels_has_no_regression(small, found):
    regressions, notes = compare.compare(found, small.report)
    assert regressions == []
    assert len([note for note in notes if "--kernels did not ask for it" in note]) == 2
    worse = made.change(found, "tflite-int8", status="failed", breaches=("x",))
    assert len(compare.compare(found, worse)[0]) == 3  # with its rows of other kernels


def test_a_card_shows_the_runtimes_own_choice(small, found, tmp_path):
    folder = small.copy(tmp_path / "bundle")
    schema.write(folder / "benchmark.json", found)
    own = card.own_rows(folder, manifest.read(folder, ""))
    assert [row.kernels for row in own] == [None] * len(own)


def test_kernels_of_another_name_are_refused(tiny_bundle, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([str(tiny_bundle), "--kernels", "refrence"])
    assert "Did you mean reference?" in capsys.readouterr().err
    with pytest.raises(InputError, match="--kernels must be distinct names of no-delegate"):
        BenchmarkSettings(kernels=("reference", "reference"))
    with pytest.raises(
        InputError, match=r"kernels of a \.onnx file must be unoptimized\. Got: tflm"
    ):
        runtimes.open_artifact(tiny_bundle / "onnx-float32.onnx", kernels="tflm")


def test_a_report_with_unknown_kernels_is_refused(found):
    record = json.loads(json.dumps(schema.encode(found)))
    record["measurements"][-1]["kernels"] = "evil"
    with pytest.raises(schema.SchemaError, match="kernels must be"):
        schema.decode(measurement.Report, record)


# The first ten pixels of a `tests.tiny` image, one of which is 1; portable kernels move them.
SOURCE = """/* mnist-edge {"c": {"prefix": "one", "scratch_bytes": 1, "lanes_bytes": 1,
"input": {"name": "x", "shape": [1, 28, 28, 1], "dtype": "uint8", "scale": 1, "zero_point": 0},
"output": {"name": "y", "shape": [1, 10], "dtype": "uint8", "scale": 1, "zero_point": 0}}} */
#ifdef MNIST_EDGE_PORTABLE
#define OFFSET 1
#else
#define OFFSET 0
#endif
void one_predict_quantized(const unsigned char *in, unsigned char *out, void *scratch) {
    int i;
    (void)scratch;
    for (i = 0; i < 10; i++) out[i] = in[(i + OFFSET) % 10];
}
"""
needs_compiler = pytest.mark.skipif(not c_compiler.command(), reason=c_compiler.MISSING)


@pytest.fixture
def with_c(tiny_bundle, monkeypatch):
    monkeypatch.setattr(c_source, "fault", lambda path, sha256: None)
    head, _, rest = SOURCE.partition("*/\n")
    content = head.replace("\n", " ") + "*/\n" + rest
    tiny.add(tiny_bundle, "c-int8", content.encode())
    return tiny_bundle


@needs_compiler
def test_c_is_compiled_judged_and_timed_and_so_are_its_portable_kernels(with_c, without_keras):
    found = run(with_c, "portable")
    default, portable = rows(found)["c-int8"], rows(found)["c-int8 (portable kernels)"]
    assert (default.status, default.runtime) == ("passed", f"C, {c_compiler.name()}")
    assert default.latency[0].p50_us > 0
    assert portable.status == "breached"
    assert portable.runtime == f"{default.runtime}, portable kernels"
    assert portable.differences == (Difference("c-int8", tiny.COUNT, tiny.COUNT),)
    assert {breach.partition(": ")[0] for breach in found.breaches} == {"c-int8 (portable kernels)"}


def test_c_is_compared_with_the_file_that_it_is_made_from(small):
    loaded = bundles.load_all([small.folder], 1)[0]
    made_c = dataclasses.replace(
        loaded.artifacts[1], variant="c-int8", format="c", precision="int8"
    )
    assert made_c.weights == "tflite-int8"
    assert {one.weights for one in loaded.artifacts} == {one.variant for one in loaded.artifacts}
