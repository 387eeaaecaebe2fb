"""No command opens a connection or leaves an identifier: the network is denied to each here."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import overhead
from mnist_edge import models
from tests import tiny
from tests.safety import offline

ROOT = Path(__file__).parents[2]
# Where ONNX Runtime keeps the device's identifier and the events that it has not sent yet.
TELEMETRY = ".cache/Microsoft"
# Where one of these is set, ONNX Runtime takes it for a build machine and sends nothing.
BUILD_MACHINES = (
    *("APPVEYOR", "BUILDKITE", "CI", "CIRCLECI", "CODEBUILD_BUILD_ID", "GITHUB_ACTIONS"),
    *("GITLAB_CI", "JENKINS_URL", "TEAMCITY_VERSION", "TF_BUILD", "TRAVIS"),
)
# ONNX Runtime's first attempt comes some ten seconds after its import.
PATIENCE = 25
ALONE = f"""
import onnxruntime, time
onnxruntime.InferenceSession({str(overhead.GRAPHS["onnx"])!r})
time.sleep(float(__import__("sys").argv[1]))
"""
pytestmark = pytest.mark.skipif(not offline.IS_POSSIBLE, reason="Linux alone can deny it")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder of the test's own; the environment asks for telemetry."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    for name in BUILD_MACHINES:
        monkeypatch.delenv(name, raising=False)
    return folder


def run(*words) -> subprocess.CompletedProcess[str]:
    """Runs `python WORD ...`, the network denied."""
    command = [sys.executable, "-m", "tests.safety.offline", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


ASKS = """
import ctypes, socket
socket.socketpair()
if ctypes.CDLL(None).socket(socket.{}, {}, 0) < 0: raise SystemExit("refused")
"""
STARTS = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {!r}]))"
TCP, UDP, FLAGS = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_CLOEXEC


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6"])
@pytest.mark.parametrize("kind", [TCP, UDP, TCP | FLAGS, UDP | FLAGS])
def test_what_asks_for_the_network_is_killed(family, kind):
    ran = run("-c", ASKS.format(family, int(kind)))
    if (family, kind) == ("AF_INET", UDP) or (family, kind & ~FLAGS) == ("AF_INET6", TCP):
        assert (ran.stderr, ran.returncode) == ("refused\n", 1)
    else:
        assert ran.returncode == offline.KILLED


def test_so_is_its_child():
    asks = ASKS.format("AF_INET", int(TCP))
    assert run("-c", STARTS.format(asks)).returncode == 256 + offline.KILLED


def test_onnx_runtime_alone_leaves_an_identifier(home):
    """The next test can fail."""
    assert run("-c", ALONE, 0).returncode == 0
    assert (home / TELEMETRY).exists()


@pytest.mark.parametrize("package", ["mnist_edge", "export", "benchmarks"])
def test_every_package_switches_it_off_whatever_the_environment_says(home, package):
    ran = run("-c", f"import os, {package}; print(os.environ['ORT_DISABLE_TELEMETRY'])")
    assert (ran.stdout, ran.returncode) == ("1\n", 0)


def test_commands_ask_for_no_network_and_leave_no_identifier(tiny_bundle, home):
    without_keras = (
        "import sys\nsys.modules['keras'] = None\nfrom {module} import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    for module, *words in (
        ("benchmarks.__main__", tiny_bundle, *tiny.QUICK),
        ("export.audit", tiny_bundle / "onnx-float32.onnx"),
    ):
        ran = run("-c", without_keras.format(module=module), *words)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert not (home / TELEMETRY).exists()


@pytest.mark.long
def test_onnx_runtime_alone_asks_for_the_network(home):
    assert run("-c", ALONE, PATIENCE).returncode == offline.KILLED


@pytest.mark.long
def test_no_stage_asks_for_the_network_however_long_it_takes(home, tmp_path):
    folder = tmp_path / "bundle"
    train = ["--model", "nano", "--epochs", "1", "--output", folder, "--data", "mnist"]
    rounds = ["--rounds", "20", "--calls", "1000"]
    for words in (
        ("mnist_edge.train", *train),
        ("mnist_edge.evaluate", folder),
        ("export", folder),
        ("benchmarks", folder, *rounds),
        ("benchmarks.selftest", folder),
        ("benchmarks.soak", folder, "--predictions", 5000),
        ("mnist_edge.safety.sandbox", models.PRETRAINED / "nano" / "model.keras"),
    ):
        ran = run("-m", *words)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert not (home / TELEMETRY).exists()
