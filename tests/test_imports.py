"""Who imports what: the design's table, and that the test of it can fail."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STDLIB = sys.stdlib_module_names
PACKAGES = ("mnist_edge", "export", "benchmarks")
RUNTIMES = {"keras", "ai_edge_litert", "onnxruntime"}
# Folder by folder, what its modules may import beside the standard library.
TABLE = {
    "mnist_edge": {"mnist_edge", "numpy", "matplotlib", "sklearn"} | RUNTIMES,
    "mnist_edge/data": {"mnist_edge", "numpy", "keras", "pyarrow"},
    "mnist_edge/images": {"mnist_edge", "numpy", "PIL", "scipy"},
    "mnist_edge/models": {"mnist_edge", "numpy", "keras"},
    "mnist_edge/runtimes": {"mnist_edge", "numpy", "tflite_micro", "ziglang"} | RUNTIMES,
    "mnist_edge/safety": {"mnist_edge", "numpy", "keras", "h5py"},
    "mnist_edge/training": {"mnist_edge", "numpy", "keras"},
    "export": {"mnist_edge", "numpy", "tensorflow", "tf2onnx", "onnx", "flatbuffers", "tqdm"}
    | RUNTIMES,
    "export/c": {"mnist_edge", "numpy", "flatbuffers", "ai_edge_litert"},
    "export/coverage": {"mnist_edge", "numpy", "keras"},
    "export/onnx": {"mnist_edge", "numpy", "tf2onnx", "onnx", "onnxsim"} | RUNTIMES,
    "export/tflite": {"mnist_edge", "numpy", "tensorflow", "flatbuffers", "tqdm"} | RUNTIMES,
    "export/web": {"mnist_edge", "numpy"},
    "benchmarks": {"mnist_edge", "numpy", "matplotlib", "scipy", "tqdm"},
    "benchmarks/browser": {"mnist_edge", "numpy", "playwright"},
    "benchmarks/corruptions": {"mnist_edge", "numpy", "scipy", "PIL", "matplotlib"},
    "benchmarks/layers": {"mnist_edge", "numpy", "onnx", "PIL", "flatbuffers"} | RUNTIMES,
    "benchmarks/microcontroller": {"mnist_edge", "numpy"},
    "benchmarks/pictures": {"mnist_edge", "numpy", "keras", "scipy", "PIL", "sklearn"},
    "benchmarks/frontier": {"mnist_edge", "numpy", "keras", "matplotlib", "distributed"},
}
# What every installation has; all else is imported inside the function that needs it, so that
# a device needs only the runtime that it uses.
ALWAYS = {"mnist_edge", "numpy"}
# An exporter needs these two anyway; classes of Keras's kind need Keras at once, and are
# themselves imported inside functions, which the last test holds them to.
AT_ONCE = {
    "export": {"flatbuffers", "tqdm"},
    "export/tflite": {"flatbuffers", "tqdm"},
    "benchmarks/pictures": {"PIL"},  # it draws
}
KERAS_CLASSES = {
    f"mnist_edge/training/{stem}.py"
    for stem in ("augment", "disturb", "learner", "normalization", "optimizer")
}


def imported(tree):
    """Yields `(package, function)`: what is imported, and in which function, if in one."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    for_types = {  # never run
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:  # relative: its own package
            names = [node.module]
        else:
            continue
        inside = [f.name for f in functions if f.lineno <= node.lineno <= f.end_lineno]
        for name in names:
            yield name.split(".")[0], inside[-1] if inside else None


def violations(root):
    found = []
    for path in sorted(p for top in PACKAGES for p in (root / top).rglob("*.py")):
        where, folder = (p.relative_to(root).as_posix() for p in (path, path.parent))
        at_once = (
            ALWAYS | AT_ONCE.get(folder, set()) | ({"keras"} if where in KERAS_CLASSES else set())
        )
        opened = {}
        for package, function in imported(ast.parse(path.read_text())):
            if package in STDLIB:
                continue
            if package not in TABLE[folder]:
                found.append(f"{where} imports {package}")
            if folder == "mnist_edge/runtimes" and package in RUNTIMES:
                opened.setdefault(function, set()).add(package)
            if function is None and package not in at_once:
                found.append(f"{where} imports {package} outside a function")
        found += [
            f"{where} imports {len(packages)} runtimes in one function"
            for packages in opened.values()
            if len(packages) > 1
        ]
    return found


def test_every_module_imports_what_the_design_allows():
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    ("where", "code", "message"),
    [
        ("mnist_edge/data/dataset.py", "import keras", "imports keras outside a function"),
        ("mnist_edge/data/idx.py", "def f():\n import tensorflow", "imports tensorflow"),
        ("mnist_edge/train.py", "def f():\n import tensorflow.nn", "imports tensorflow"),
        ("mnist_edge/train.py", "from export import variants", "imports export"),
        ("mnist_edge/train.py", "import keras", "imports keras outside a function"),
        ("mnist_edge/plots.py", "import matplotlib", "imports matplotlib outside a function"),
        ("mnist_edge/images/normalize.py", "def f():\n import keras", "imports keras"),
        ("mnist_edge/images/normalize.py", "from PIL import Image", "imports PIL outside"),
        ("mnist_edge/models/trained.py", "def f():\n import h5py", "imports h5py"),
        ("mnist_edge/safety/keras_file.py", "import h5py", "imports h5py outside a function"),
        ("mnist_edge/training/learner.py", "import sklearn", "imports sklearn"),
        ("mnist_edge/training/loop.py", "import keras", "imports keras outside a function"),
        ("export/audit.py", "from benchmarks import parity", "imports benchmarks"),
        ("export/onnx/convert.py", "import onnx", "imports onnx outside a function"),
        ("benchmarks/parity.py", "def f():\n import onnxruntime", "imports onnxruntime"),
        ("benchmarks/run.py", "from export.variants import VARIANTS", "imports export"),
        ("benchmarks/frontier/pictures.py", "import matplotlib", "outside a function"),
        (
            "mnist_edge/runtimes/litert.py",
            "def f():\n import keras\n import onnxruntime",
            "imports 2 runtimes in one function",
        ),
    ],
)
def test_the_import_test_can_fail(tmp_path, where, code, message):
    for folder in TABLE:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / where).write_text(code)
    assert any(message in line for line in violations(tmp_path))


def test_help_and_benchmarks_start_without_keras_or_any_runtime():
    program = (
        "import sys, benchmarks.__main__, benchmarks.frontier.__main__, benchmarks.predict\n"
        "import export.__main__\n"
        "import mnist_edge.evaluate, mnist_edge.predict, mnist_edge.train\n"
        "print([m for m in ('keras', 'tensorflow', 'onnxruntime', 'ai_edge_litert', 'matplotlib', "
        "'sklearn', 'PIL') if m in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"
