"""Rows in a browser: measured in Chromium, judged by the gate, joined to the bundle's report."""

import dataclasses
import json
import shutil

import pytest

from benchmarks import compare, measurement, report, tables
from benchmarks.browser import __main__ as command
from benchmarks.browser import chromium, measure, rows
from benchmarks.browser.settings import BrowserSettings
from benchmarks.bundles import load_all
from benchmarks.measurement import BrowserCosts, BrowserRun
from benchmarks.run import benchmark
from mnist_edge import runtimes, schema
from mnist_edge.errors import InputError
from mnist_edge.gate import Thresholds
from mnist_edge.safety import c_source
from tests import tiny

# The first ten pixels of a `tests.tiny` image, one of which is 1; with SIMD, others.
SOURCE = """/* mnist-edge {"c": {"prefix": "one", "scratch_bytes": 1, "lanes_bytes": 1, \
"input": {"name": "x", "shape": [1, 28, 28, 1], "dtype": "uint8", "scale": 1, "zero_point": 0}, \
"output": {"name": "y", "shape": [1, 10], "dtype": "uint8", "scale": 1, "zero_point": 0}}} */
#include <stdint.h>
#define ONE_INPUT_SIZE 784
#define ONE_CLASSES 10
#define ONE_SCRATCH_BYTES 1
#ifdef __wasm_simd128__
#define OFFSET 1
#else
#define OFFSET 0
#endif
void one_predict_quantized(const unsigned char *in, unsigned char *out, void *scratch) {
    for (int i = 0; i < 10; i++) out[i] = in[(i + OFFSET) % 10];
}
"""
COSTS = BrowserCosts(2, 20_000, 15_000, 8.5, 3.25)
RUN = BrowserRun(
    browser="Chromium 1",
    rounds=6,
    loads=5,
    clock_step_us=5.0,
    reference_workload_p50_us=10.0,
    reference_workload_p50_interval_us=(9.9, 10.1),
)


@pytest.fixture
def with_c(tiny_bundle, monkeypatch):
    """A bundle whose C file is the test's own, which the exporter would not make."""
    monkeypatch.setattr(c_source, "fault", lambda *_: None)
    tiny.add(tiny_bundle, "c-int8", SOURCE.encode())
    return tiny_bundle


@pytest.fixture(scope="module")
def found(kept_tiny):
    """A report, and a row that ran in a browser."""
    is_installed = runtimes.is_installed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            runtimes,
            "is_installed",
            lambda path, *kernels: path.suffix != ".keras" and is_installed(path, *kernels),
        )
        made = benchmark(kept_tiny, rounds=6, calls=3, warmup=1)
    row = next(one for one in made.measurements if one.variant == "tflite-float32")
    return made, dataclasses.replace(row, kernels="browser", browser=COSTS)


@pytest.mark.long  # ten seconds: two compilations and ten pages
def test_c_runs_in_chromium_with_simd_and_without(with_c, tmp_path, without_keras):
    pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    pytest.importorskip("ziglang", reason="no compiler for WebAssembly: install ziglang")
    if not any(map(shutil.which, chromium._NAMES)):
        pytest.skip("Chromium is not installed")
    settings = BrowserSettings(with_c, rounds=2, loads=1, limit=20, cache=tmp_path)
    (bundle,) = load_all([with_c], settings.limit)
    made, run = measure.measure(settings, bundle, Thresholds())
    simd, plain, *others = made
    assert run.browser.startswith("Chromium ")
    assert run.clock_step_us == pytest.approx(5, abs=0.5)  # 100 if the page is not isolated
    assert (simd.status, plain.status) == ("breached", "passed")
    assert plain.parity.agreement == 1
    assert plain.remarks == ("checked on only 20 images", "on 20 of 40 test images")
    assert plain.browser.file_count == 1  # the WebAssembly is inside the module
    assert 0 < plain.latency[0].p50_us < 1000
    assert {row.status for row in others} == {"not installed"}
    assert "onnxruntime-web 1.30.0 not fetched: use --fetch" in others[-1].remarks


def in_json(made):
    return json.loads(json.dumps(schema.encode(made)))


def test_rows_replace_those_of_an_earlier_run_and_so_do_breaches(found):
    before, row = found
    failed = dataclasses.replace(row, status="failed", breaches=("it crashed",), parity=None)
    once = command.joined(before, [failed], RUN)
    assert not once.passed
    assert once.breaches[-1] == "tflite-float32 (browser): it crashed"
    assert len(once.measurements) == len(before.measurements) + 1
    again = command.joined(once, [row], RUN)
    assert (again.passed, again.breaches) == (before.passed, before.breaches)
    assert again.measurements == (*before.measurements, row)
    assert schema.decode(measurement.Report, in_json(again)) == again


def test_the_report_shows_the_rows_and_compare_judges_them(found):
    before, row = found
    joined = command.joined(before, [row], RUN)
    assert "| tflite-float32 (browser) " in tables.main_table(joined)
    (line,) = tables.browser_table(joined).splitlines()[2:]
    assert all(cell in line for cell in ("20,000", "15,000", "8.5", "3.2"))
    assert "In Chromium 1, apart from the other rows" in report.markdown(joined)
    assert "browser" not in report.text(before)
    notes = compare.compare(joined, before)[1]
    assert any("benchmarks.browser was not run" in note for note in notes)
    slow = [dataclasses.replace(one, p50_us=9e6, p50_interval_us=(8e6, 9e6)) for one in row.latency]
    quick = [dataclasses.replace(one, p50_interval_us=(1.0, 9.0)) for one in row.latency]
    reports = [
        command.joined(before, [dataclasses.replace(row, latency=tuple(one))], RUN)
        for one in (quick, slow)
    ]
    assert any("tflite-float32 (browser): latency" in one for one in compare.compare(*reports)[0])


def test_a_report_with_rows_in_no_browser_is_refused(found):
    before, row = found
    record = in_json(command.joined(before, [row], RUN)) | {"browser": None}
    with pytest.raises(schema.SchemaError, match="browser must describe the run"):
        schema.decode(measurement.Report, record)


def test_what_is_missing_is_one_line(with_c, found, monkeypatch, capsys):
    def line(folder, *flags):
        assert command.main([str(folder), *flags]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said

    assert "benchmark.json must be there" in line(with_c)
    assert "--rounds must be 1 or more" in line(with_c, "--rounds", "0")
    schema.write(with_c / "benchmark.json", found[0])
    monkeypatch.setenv("PATH", "/nowhere")
    assert "Chromium must be installed" in line(with_c)
    (with_c / "c-int8.c").write_text("int main;")
    rows_of = rows.of_bundle(load_all([with_c])[0])  # a damaged file is a failed row
    assert rows_of[0].artifact.damage()


def test_models_that_the_page_does_not_know_are_refused(with_c):
    (bundle,) = load_all([with_c])
    (first, *_) = rows.of_bundle(bundle)
    assert (first.prefix, first.given.dtype) == ("one", "uint8")
    other = dataclasses.replace(
        bundle,
        manifest=dataclasses.replace(bundle.manifest, artifacts=bundle.manifest.artifacts[:2]),
    )
    with pytest.raises(InputError, match="must hold c-int8 and does not"):
        rows.of_bundle(other)
    with pytest.raises(InputError, match="must take 10 values of float32, int8, uint8"):
        rows._row(first.artifact, 10)


@pytest.mark.parametrize("made", [None, [1, "2"], [float("nan")], [-1], {"0": 1}])
def test_a_page_that_answers_nonsense_fails_its_row(made):
    with pytest.raises(chromium.PageFailed):
        measure._numbers(made)
