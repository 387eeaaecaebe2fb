"""The wheel holds what is needed and no more, and runs outside of the checkout."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("mnist_edge", "export", "benchmarks")
# What a device has not: imports of it end the process.
WITHOUT = "keras tensorflow h5py onnx onnxsim PIL tqdm scipy matplotlib sklearn"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the sdist and the wheel that is made from it."""
    source = tmp_path_factory.mktemp("source")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    words = ["build", "--no-isolation", "--outdir", source / "dist"]  # the wheel from the sdist
    subprocess.run([sys.executable, "-m", *words], cwd=source, check=True, capture_output=True)
    return source / "dist"


@pytest.fixture(scope="module")
def wheel(built):
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder with the wheel's content, and a working folder elsewhere."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    (folder / "sitecustomize.py").write_text(
        "import os, sys\n"
        "class Without:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.partition('.')[0] in os.environ.get('WITHOUT', '').split():\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Without())\n"
    )
    return folder


def run(installed, folder, *words, without=""):
    """`mnist-edge WORD ...` by the wheel's own console script, outside of the checkout."""
    program = "import sys; from mnist_edge.__main__ import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(installed), "WITHOUT": without},
        capture_output=True,
        text=True,
    )


def test_the_package_index_would_take_the_sdist_and_the_wheel(built):
    files = sorted(built.iterdir())
    assert [path.name.partition("-")[2][-4:] for path in files] == [".whl", "r.gz"]
    ran = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *files], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.count("PASSED") == 2


def test_the_wheel_holds_the_product_and_no_more(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert all(name.startswith("mnist_edge/") for name in names)
    tracked = {
        str(path.relative_to(ROOT))
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {re.sub("^mnist_edge/(?=export/|benchmarks/)", "", name) for name in names}
    assert sorted(tracked - held) == sorted(held - tracked) == []


def test_a_device_needs_numpy_and_a_runtime_alone(installed, tiny_bundle, tmp_path):
    ran = run(installed, tmp_path, "selftest", tiny_bundle, without=WITHOUT)
    assert ran.returncode == 0, ran.stderr
    assert "2 of 2 artifacts compute" in ran.stdout
    assert os.listdir(tmp_path) == ["bundle"]


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["train"], "mnist-edge[tensorflow]"),
        (["predict", "photo.png"], "mnist-edge[tensorflow]"),
        (["export", "."], "mnist-edge[export]"),
    ],
)
def test_a_missing_extra_is_one_line_that_names_it(installed, tmp_path, words, extra):
    (tmp_path / "photo.png").write_bytes(b"\x89PNG")
    ran = run(installed, tmp_path, *words, without=WITHOUT)
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert extra in line


@pytest.mark.long
def test_the_whole_way_outside_of_the_checkout(installed, small_data, tmp_path):
    for words in (
        ["train", "--epochs", 2, "--batch-size", 32, "--data", small_data, "--quiet"],
        ["export", "--calibration-count", 50],
        ["benchmark", "--rounds", 6, "--calls", 10, "--warmup", 2],
    ):
        ran = run(installed, tmp_path, *words)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (tmp_path / "artifacts/edge/benchmark.md").exists()
    assert run(installed, tmp_path, "nonsense").returncode == 2
