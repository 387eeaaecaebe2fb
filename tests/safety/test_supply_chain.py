"""Pinned packages are audited, packaged models are hashed, and nothing opens a pickle."""

import ast
import http.server
import importlib.util
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bundles
from mnist_edge import bundle, models
from mnist_edge.errors import InputError
from mnist_edge.models import opened, packaged, trained

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location(
    "vulnerabilities", ROOT / ".ci" / "vulnerabilities.py"
)
audit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(audit)


# Known vulnerabilities


@pytest.fixture
def pins(tmp_path):
    """Writes a requirements file; returns its path."""

    def write(*lines):
        path = tmp_path / "pins.txt"
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    return write


@pytest.fixture
def no_network(monkeypatch):
    """pip-audit as where no service can be reached: nothing listens on port 9."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setenv("PIP_AUDIT_OSV_URL", "https://127.0.0.1:9")


class Osv(http.server.BaseHTTPRequestHandler):
    """Answers as OSV does: one vulnerability, of color 1.0."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        hole = {
            "id": "PYSEC-0-1",
            "summary": "a hole",
            "affected": [
                {
                    "package": {"name": "color", "ecosystem": "PyPI"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "1.1"}]}],
                }
            ],
        }
        is_hit = (asked["package"]["name"], asked["version"]) == ("color", "1.0")
        body = json.dumps({"vulns": [hole]} if is_hit else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def osv(no_network, monkeypatch):
    """pip-audit as where OSV can be reached."""
    with http.server.HTTPServer(("127.0.0.1", 0), Osv) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PIP_AUDIT_OSV_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(audit, "SERVICES", {"osv": "OSV"})
        yield
        server.shutdown()


def test_without_a_network_the_build_goes_on_and_says_that_nothing_was_audited(
    pins, no_network, capsys
):
    assert audit.main(pins("color==1.0")) == 0
    (first,) = capsys.readouterr().out.splitlines()
    assert first.startswith("NOT AUDITED against today's advisories, no service answers. PyPI: ")
    assert "; OSV: " in first


def test_a_vulnerability_that_a_service_knows_fails_the_audit(pins, osv, capsys):
    assert audit.main(pins("color==1.0 ; python_version < '3'", "numpy==2.4.6")) == 1
    said = capsys.readouterr().out
    assert said.startswith("2 of 2 pins audited against OSV\n")
    assert said.endswith("VULNERABLE color 1.0: PYSEC-0-1, mended in 1.1\n")


def test_a_vulnerability_may_be_ignored_by_name_and_both_pins_of_a_package_are_audited(
    pins, osv, capsys
):
    path = pins("color==1.1 ; python_version < '3'", "color==1.0 ; python_version >= '3'")
    assert audit.main(path, "--ignore-vuln", "PYSEC-0-1") == 0
    assert "2 of 2 pins audited" in capsys.readouterr().out


def test_a_mirror_that_holds_no_advisories_is_no_audit(monkeypatch, pins, capsys):
    answer = {"dependencies": [{"name": "color", "skip_reason": "not found"}]}
    ran = type("Ran", (), {"stdout": json.dumps(answer), "stderr": "", "returncode": 0})
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: ran)
    assert audit.main(pins("color==1.0")) == 0
    assert "no service answers. PyPI: it knows none of the packages" in capsys.readouterr().out


def test_a_file_that_is_not_pinned_is_refused(pins, capsys):
    assert audit.main(pins("color>=1.0")) == 2
    assert "must hold lines NAME==VERSION and nothing else" in capsys.readouterr().err


# Packaged models


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the packaged models that a test may damage, in the package's place."""
    folder = Path(shutil.copytree(models.PRETRAINED, tmp_path / "pretrained"))
    monkeypatch.setattr(models, "PRETRAINED", folder)
    return folder


def test_the_hashes_in_the_code_are_the_packaged_files():
    assert sorted(packaged.SHA256) == sorted(path.name for path in models.PRETRAINED.iterdir())
    for name, files in packaged.SHA256.items():
        assert set(files) == {bundle.MODEL, bundle.TRAIN}
        folder = models.PRETRAINED / name
        assert files == {file: bundle.sha256_file(folder / file) for file in files}
        trained.check(folder)


def test_a_packaged_model_replaced_with_its_record_is_refused_and_elsewhere_vouches_for_itself(
    package, tmp_path
):
    for name in (bundle.MODEL, bundle.TRAIN):
        shutil.copy(package / "nano" / name, package / "edge" / name)
    with pytest.raises(InputError, match=r"edge/model.keras must have SHA-256 .*, as packaged"):
        trained.check(package / "edge")
    shutil.copytree(package / "edge", tmp_path / "edge")
    trained.check(tmp_path / "edge")


def test_a_packaged_record_that_names_other_classes_is_refused(package):
    path = package / "edge" / bundle.TRAIN
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(InputError, match=r"edge/train.json must have SHA-256"):
        trained.check(package / "edge")
    path.unlink()
    with pytest.raises(InputError, match="Got: no file"):
        trained.check(package / "edge")


def test_a_model_put_among_the_packaged_ones_is_refused(package):
    shutil.copytree(package / "edge", package / "other")
    with pytest.raises(InputError, match="must be one of the packaged models, nano, edge, robust"):
        opened.open_named("other")


# No code from pickles

# What turns bytes into objects, and with them into calls.
FORBIDDEN = {
    *("pickle", "_pickle", "cPickle", "cloudpickle", "dill", "jsonpickle", "marshal", "shelve"),
    *("yaml", "torch", "joblib"),
}
FORBIDDEN_CALLS = {"read_pickle", "enable_unsafe_deserialization"}
# What unpickles what another process sends; `mnist_edge.safety.isolated` takes numbers and text.
RECEIVERS = {"recv", "ProcessPoolExecutor", "Pool", "Queue", "SimpleQueue", "Manager"}


def pickles(where, tree):
    """Lines that say where a module may open a pickle or run a text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imports(where, node)
        elif isinstance(node, ast.Call):
            yield from _calls(where, node)


def _imports(where, node):
    module = getattr(node, "module", None)
    names = [module or ""] if module else [alias.name for alias in node.names]
    for package in {name.split(".")[0] for name in names}:
        if package in FORBIDDEN:
            yield f"{where}:{node.lineno} imports {package}"


def _calls(where, node):
    text, name = ast.unparse(node.func), ast.unparse(node.func).split(".")[-1]
    given = {word.arg: ast.unparse(word.value) for word in node.keywords}
    if text in ("np.load", "numpy.load", "np.lib.format.read_array"):
        yield f"{where}:{node.lineno} calls {text} in place of mnist_edge.data.npz.read"
    if given.get("allow_pickle", "False") != "False":
        yield f"{where}:{node.lineno} allows pickles"
    if name == "load_model" and text.startswith("keras") and given.get("safe_mode") != "True":
        yield f"{where}:{node.lineno} loads a model without safe_mode=True"
    if name in RECEIVERS:
        yield f"{where}:{node.lineno} calls {text}, which opens another process's pickles"
    if text in ("eval", "exec") or name in FORBIDDEN_CALLS:
        yield f"{where}:{node.lineno} calls {text}"


def test_no_module_opens_a_pickle_or_runs_a_text():
    found = [
        line
        for folder in ("mnist_edge", "export", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in pickles(path.relative_to(ROOT).as_posix(), ast.parse(path.read_text()))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("np.load(path)", "calls np.load in place of mnist_edge.data.npz.read"),
        ("np.load(path, allow_pickle=False)", "calls np.load in place of mnist_edge.data.npz.read"),
        ("np.load(path, allow_pickle=True)", "allows pickles"),
        ("np.load(path, allow_pickle=settings.trusting)", "allows pickles"),
        ("read(path, allow_pickle=True)", "allows pickles"),
        ("import pickle", "imports pickle"),
        ("def f():\n from joblib import load", "imports joblib"),
        ("pipe.recv()", "calls pipe.recv, which opens another process's pickles"),
        ("concurrent.futures.ProcessPoolExecutor(2)", "opens another process's pickles"),
        ("import shelve, json", "imports shelve"),
        ("exec(text)", "calls exec"),
        ("pandas.read_pickle(path)", "calls pandas.read_pickle"),
        ("keras.saving.load_model(path)", "loads a model without safe_mode=True"),
        ("keras.saving.load_model(path, safe_mode=False)", "loads a model without safe_mode=True"),
        ("keras.config.enable_unsafe_deserialization()", "calls keras.config.enable_unsafe"),
    ],
)
def test_the_test_of_pickles_can_fail(code, message):
    assert any(message in line for line in pickles("mnist_edge/new.py", ast.parse(code)))


def test_a_pickle_in_a_bundles_reference_never_runs(small, tmp_path):
    folder, marker = small.copy(tmp_path / "bundle"), tmp_path / "ran"

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (marker,))

    # NumPy itself opens it where it is allowed to: the bomb is live.
    path = folder / bundle.REFERENCE
    np.savez(path, probabilities=np.array([Bomb()], dtype=object))
    with np.load(path, allow_pickle=True) as archive:
        archive["probabilities"]
    assert marker.exists()
    marker.unlink()
    manifest = bundle.read_json(folder / bundle.MANIFEST, (), "")
    manifest["reference"]["sha256"] = bundle.sha256_file(path)
    bundle.write_json(folder / bundle.MANIFEST, manifest)
    with pytest.raises(InputError, match=r"reference\.npz"):
        bundles.load_all([folder])
    assert not marker.exists()
