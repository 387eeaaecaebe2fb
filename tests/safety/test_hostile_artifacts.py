"""Files that mean harm: one line that says what, and whoever opened them goes on."""

import json
import os

import numpy as np
import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import overhead, predict, report, selftest
from benchmarks.worker import Allowance, Worker, WorkerFailed
from export import audit
from mnist_edge import bundle, manifest
from mnist_edge.errors import InputError
from mnist_edge.safety import isolated, limits
from tests import tiny
from tests.safety import hostile
from tests.safety.test_isolated import taken_at_most

TFLITE, ONNX = hostile.tflite(), hostile.onnx()
ALLOWANCE = Allowance(timeout_seconds=2, memory_limit_mb=500)
# What is said of a file, where more is known than that its runtime refuses it.
SAID = {
    "an operator's tensor index -1": "runtime crashed by SIGSEGV in 'open'",
    "an unknown operator": "",
    "an unknown custom operator": "unresolved custom op: NoSuchOperator",
    "a future schema": "schema version 99",
    "2**31 elements": "its tensors can't be allocated",
    "no elements": "batch must be an integer of 1 or more",
    "two inputs": "several inputs",
    "no input": "has no input",
    "two outputs": "has several inputs or outputs, and no signature that names them",
    "no output": "has no output",
    "integers": "Got: int64 [20, 10]",
    "text": "Got: object [20, 10]",
    "too many classes": "Got: float32 [20, 100000]",
    "too many rows": "output shape is [40, 10] for 20 images",
    "no end": "no answer to 'predict' in 2 s",
    **dict.fromkeys(
        ("a folder above", "two folders above", "an absolute path"),
        "External data path validation failed",
    ),
    **dict.fromkeys(
        ("a link to elsewhere", "a file beside it"), "External data path does not exist"
    ),
}


@pytest.fixture(scope="module")
def benches():
    """By format, a process that opens one file after another; a new one where one ended it."""
    kept = {}

    def bench(format):
        if format not in kept or not kept[format].is_alive():
            kept[format] = Worker(overhead.GRAPHS[format], 1, ALLOWANCE)
        return kept[format]

    yield bench
    for one in kept.values():
        one.close()


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (20, 28, 28, 1)).astype(np.float32)


def put(folder, name, content, format):
    """Writes a file, and what its external data may point at."""
    inside = folder / "bundle"
    inside.mkdir()
    for place in (folder / "secret.bin", inside / "beside.bin"):
        place.write_bytes(np.arange(10, dtype=np.float32).tobytes())
    (inside / "link.bin").symlink_to(folder / "secret.bin")
    path = inside / f"x.{format}"
    path.write_bytes(content)
    return path


def answer(one, path, images):
    one.open(path)
    return one.predict(images)


@pytest.mark.parametrize(
    ("format", "name", "content"),
    [("tflite", *pair) for pair in TFLITE.items()] + [("onnx", *pair) for pair in ONNX.items()],
    ids=[f"tflite, {name}" for name in TFLITE] + [f"onnx, {name}" for name in ONNX],
)
def test_a_hostile_file_is_one_line(format, name, content, benches, images, tmp_path):
    path, one = put(tmp_path, name, content, format), benches(format)
    with taken_at_most(10e6), pytest.raises(WorkerFailed) as caught:
        answer(one, path, images)
    said = str(caught.value)
    assert SAID.get(name, "") in said
    assert len(said) > 20
    assert said.isprintable()


def test_the_same_files_unharmed_run(benches, images, tmp_path):
    nodes, constants = hostile._ten("probabilities")
    onnx = put(tmp_path, "x", hostile.onnx_of(nodes, constants), "onnx")
    for path in (onnx, overhead.GRAPHS["tflite"]):
        found = answer(benches(path.suffix[1:]), path, images)
        assert found.tolist() == images[:, 0, :10, 0].tolist()


def test_bombs_fail_before_the_memory_is_taken(benches, images, tmp_path):
    one = benches("onnx")
    one.open(put(tmp_path, "x", ONNX["3 GB"], "onnx"))
    with pytest.raises(WorkerFailed, match="ConstantOfShape"):
        one.predict(images)
    assert one.is_alive()
    assert limits.peak_resident_bytes(one._process.pid) < 300e6


def test_a_batch_of_2_to_the_30_reserves_nothing_here(benches, images, tmp_path):
    path = tmp_path / "x.tflite"
    path.write_bytes(hostile._tflite(hostile._shape(2**20, 1, 1, 1)))
    with taken_at_most(10e6), pytest.raises(WorkerFailed, match="batch must be"):
        benches("tflite").open(path)


# Through the commands.


@pytest.fixture
def folder(tiny_bundle):
    return tiny_bundle


def test_a_benchmark_names_hostile_files_and_measures_the_others(folder, without_keras, capsys):
    hostiles = {
        "tflite-crash": TFLITE["an operator's tensor index -1"],
        "onnx-bomb": ONNX["ConstantOfShape"],
        "onnx-nan": hostile.nan(),
        "onnx-rows": ONNX["too many rows"],
    }
    for variant, content in hostiles.items():
        tiny.add(folder, variant, content)
    assert benchmarks.main([str(folder), *tiny.QUICK]) == 1
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    breaches = [line for line in said.out.splitlines() if line.startswith("BREACH")]
    for variant, words in zip(
        hostiles, ("runtime crashed by SIGSEGV", "ConstantOfShape", "NaN", "rows"), strict=True
    ):
        (line,) = [line for line in breaches if line.startswith(f"BREACH {variant}: ")]
        assert words in line or "for 40 images" in line
    rows = json.loads((folder / report.BENCHMARK_JSON).read_text())["measurements"]
    assert {row["variant"]: row["status"] for row in rows} == {
        "keras": "not installed",
        "tflite-float32": "passed",
        "onnx-float32": "passed",
        "tflite-crash": "failed",
        "onnx-bomb": "failed",
        "onnx-nan": "breached",
        "onnx-rows": "failed",
    }


def test_a_bundle_of_good_files_passes(folder, without_keras):
    assert benchmarks.main([str(folder), *tiny.QUICK]) == 0
    assert selftest.main([str(folder)]) == 0


def test_the_selftest_survives_hostile_files(folder, capsys):
    tiny.add(folder, "tflite-crash", TFLITE["an operator's tensor index -1"])
    with np.load(folder / bundle.GOLDEN) as golden:
        arrays = dict(golden)
    np.savez(folder / bundle.GOLDEN, **arrays, **{"tflite-crash": arrays["onnx-float32"]})
    tiny.vouch(folder, "golden")
    assert selftest.main([str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[:5] == ["tflite-crash", "FAILED", "runtime", "crashed", "by"]
    assert lines[-1].startswith("2 of 3 artifacts compute")


def test_asking_about_a_picture_survives_hostile_files(folder, without_keras, capsys):
    tiny.add(folder, "tflite-crash", TFLITE["an operator's tensor index -1"])
    pixels = np.zeros((1, 28, 28, 1), np.float32)
    pixels[0, 0, 3] = 1  # what comes out are probabilities
    answers, _, failed = predict.run_all(folder, manifest.read(folder, ""), pixels)
    assert set(answers) == {"tflite-float32", "onnx-float32"}
    assert failed["tflite-crash"].startswith("runtime crashed by SIGSEGV")


def answers(monkeypatch, process, answer):
    body = isolated.pack([True, answer])[isolated.FRAME_BYTES :]
    monkeypatch.setattr(process, "_exchange", lambda *_: body)


@pytest.mark.parametrize(
    ("request_name", "answer", "words"),
    [
        ("predict", {"a": 1}, "did not answer 'predict' with a float32 array"),
        ("predict", np.zeros((20, 10)), "did not answer 'predict' with a float32 array"),
        ("predict", np.zeros((3, 10), np.float32), "returned [3, 10]"),
        ("time calls", np.full(3, np.nan), "answered 'time calls' with invalid times"),
        ("time calls", np.full(3, 1e-9), "answered 'time calls' with invalid times"),
        (
            "first call",
            {"first_call_us": "1"},
            "sent an invalid answer to 'first call': first_call_us",
        ),
        (
            "open",
            {"runtime": "\x1b", "batch": 1},
            "sent an invalid answer to 'open': runtime must be",
        ),
        ("first call", None, "sent an invalid answer to 'first call': it must be an object"),
    ],
)
def test_answers_that_are_none_are_a_failed_row(
    benches, images, monkeypatch, request_name, answer, words
):
    """A file that took its process over answers as it likes."""
    one = benches("onnx")
    answers(monkeypatch, one, answer)
    requests = {
        "predict": lambda: one.predict(images),
        "time calls": lambda: one.time_calls(3),
        "first call": lambda: one.first_call(images),
        "open": lambda: one.open("x.onnx"),
    }
    with pytest.raises(WorkerFailed) as caught:
        requests[request_name]()
    assert str(caught.value).startswith(words)


# The audit.


@pytest.fixture(scope="module")
def reader():
    with audit.reader() as process:
        yield process


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_the_audit_describes_or_refuses_hostile_files(format, reader, tmp_path):
    """None that crashes a runtime crashes the audit, which runs nothing."""
    for i, (name, content) in enumerate({"tflite": TFLITE, "onnx": ONNX}[format].items()):
        (tmp_path / str(i)).mkdir()
        path = put(tmp_path / str(i), name, content, format)
        try:
            lines = audit.ask(reader, path).lines
        except InputError as error:
            lines = [str(error)]
        assert str(path) in lines[0]
        assert all(line.isprintable() for line in lines)
        assert reader.is_alive()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("an operator's tensor index -1", "x.tflite must be a valid .tflite file"),
        ("a file beside it", "tensor 'w' is stored in another file"),
        ("a folder above", "tensor 'w' is stored in another file"),
    ],
)
def test_the_audit_says_what_is_wrong(name, words, tmp_path, capsys):
    format = "tflite" if name in TFLITE else "onnx"
    path = put(tmp_path, name, (TFLITE | ONNX)[name], format)
    assert audit.main([str(path)]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def with_metadata(member, packed=b"", method=8):
    """A TFLite file with an archive appended."""
    import io
    import zipfile

    buffer = io.BytesIO(TFLITE["two inputs"])
    with zipfile.ZipFile(buffer, "a", method) as archive:
        archive.writestr("metadata.json", member)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("member", "method", "words"),
    [
        (b" " * 2**28, 8, "unpacks to 268,435,456 bytes"),
        (b"{}", 12, "packed by method 12; only stored and deflated are read"),
        (b"[1]", 8, "does not hold a JSON object"),
        (b"[" * 100_000, 8, "RecursionError"),
        (b"\xff", 8, "UnicodeDecodeError"),
    ],
)
def test_metadata_that_is_none_is_one_line(member, method, words, reader, tmp_path):
    path = tmp_path / "x.tflite"
    path.write_bytes(with_metadata(member, method=method))
    with pytest.raises(InputError, match=words):
        audit.ask(reader, path)


@pytest.mark.parametrize("answer", [None, [], {"passed": 1, "lines": []}, {"passed": True}])
def test_an_audit_that_a_file_took_over_is_one_line(answer, reader, monkeypatch):
    answers(monkeypatch, reader, answer)
    with pytest.raises(
        InputError, match=r"^x.onnx can't be read: sent an invalid answer to 'report': "
    ):
        audit.ask(reader, "x.onnx")


def test_the_words_of_metadata_do_not_reach_the_terminal_raw(reader, tmp_path):
    path = tmp_path / "x.tflite"
    path.write_bytes(with_metadata(json.dumps({"variant": ["\x1b[2J"]})))
    found = audit.ask(reader, path)
    said = "  ['\\x1b[2J'] is not a known variant: not checked"
    assert found.lines[-1] == said
    assert found.passed


def test_a_pipe_is_no_artifact(folder, capsys):
    (folder / "onnx-float32.onnx").unlink()
    os.mkfifo(folder / "onnx-float32.onnx")
    assert selftest.main([str(folder)]) == 1
    assert "onnx-float32         FAILED   is a pipe or device" in capsys.readouterr().out
    assert audit.main([str(folder / "onnx-float32.onnx")]) == 2
