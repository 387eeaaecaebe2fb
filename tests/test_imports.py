"""Who imports what: the design's table, and that the test of it can fail."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STDLIB = sys.stdlib_module_names
RUNTIMES = {"keras", "ai_edge_litert", "onnxruntime"}
EXPORTERS = {"keras", "tensorflow", "tf2onnx", "onnx", "onnxsim", "onnxruntime", "ai_edge_litert"}
REPORTERS = {"matplotlib", "sklearn"}
READERS = ("csv_files", "data", "file_sets", "files", "idx", "known", "npz", "sources")
LEAN = (
    *(
        "__init__",
        "apart",
        "bundle",
        "cli",
        "expect",
        "footprint",
        "ink",
        "keras_config",
        "keras_file",
    ),
    *("gate", "limits", "manifest", "messages", "metrics", "pieces", "scratch"),
    *("supervise", "train_record", *READERS),
)
PICTURES = ("images", "pictures", "sheet")
REPORTING = ("drawing", "evaluate", "evaluation_plots", "plots")
INSIDE = EXPORTERS | REPORTERS | {"PIL", "h5py"}  # only inside a function
# Classes of Keras's kind, which need it at once: these modules are themselves imported
# inside functions, which the last test holds them to.
KERAS_CLASSES = tuple(
    f"mnist_edge/{stem}.py" for stem in ("distortion", "learner", "muon", "normalisation")
)
# What a module of the benchmarks may import besides, in functions alone: a device need
# not have it.
OPTIONAL = {
    "frontier/__main__": {"joblib", "distributed", "ray"},
    "frontier/latency": {"keras"},
    "frontier/pictures": {"matplotlib"},
    "runtimes": RUNTIMES,
    "peers": {"ai_edge_litert", "onnxruntime"},
    "pictures": {"matplotlib"},
    "progress": {"tqdm"},
    "robustness": {"scipy"},
}

# (what the row is about, which modules, what they may import)
TABLE = [
    (
        "mnist_edge, lean",
        lambda folder, stem: folder == "mnist_edge" and stem in LEAN,
        {"numpy", "mnist_edge"},
    ),
    (
        "mnist_edge, pictures",
        lambda folder, stem: folder == "mnist_edge" and stem in PICTURES,
        {"numpy", "PIL", "mnist_edge"},
    ),
    (
        "mnist_edge, reporting",
        lambda folder, stem: folder == "mnist_edge" and stem in REPORTING,
        {"numpy", "keras", "mnist_edge"} | REPORTERS,
    ),
    (
        "mnist_edge, the rest",
        lambda folder, stem: (
            folder == "mnist_edge" and stem not in (*LEAN, *PICTURES, *REPORTING, "weights_file")
        ),
        {"numpy", "keras", "mnist_edge"},
    ),
    (
        "mnist_edge/safety/weights_file.py",
        lambda folder, stem: (folder, stem) == ("mnist_edge", "weights_file"),
        {"h5py", "mnist_edge"},
    ),
    (
        "export",
        lambda folder, stem: folder == "export",
        EXPORTERS | {"flatbuffers", "numpy", "tqdm", "mnist_edge", "export"},
    ),
    (
        "benchmarks",
        lambda folder, stem: folder == "benchmarks" and stem not in OPTIONAL,
        {"numpy", "mnist_edge", "benchmarks"},
    ),
    *(
        (
            f"benchmarks/{stem}.py",
            lambda folder, given, stem=stem: (folder, given) == ("benchmarks", stem),
            {"numpy", "mnist_edge", "benchmarks"} | packages,
        )
        for stem, packages in OPTIONAL.items()
    ),
]


def imported(tree):
    """Yields `(package, function)`: what is imported, and in which function, if in one."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        inside = [f.name for f in functions if f.lineno <= node.lineno <= f.end_lineno]
        for name in names:
            yield name.split(".")[0], inside[-1] if inside else None


def violations(root):
    found = []
    for folder in ("mnist_edge", "export", "benchmarks"):
        optional = set().union(*OPTIONAL.values()) if folder == "benchmarks" else set()
        for path in sorted((root / folder).rglob("*.py")):
            stem = path.relative_to(root / folder).with_suffix("").as_posix()
            where = f"{folder}/{stem}.py"
            at_once = {"keras"} if where in KERAS_CLASSES else set()
            (allowed,) = [may for _, covers, may in TABLE if covers(folder, stem)]
            opened = {}
            for package, function in imported(ast.parse(path.read_text())):
                if package in STDLIB:
                    continue
                if package not in allowed:
                    found.append(f"{where} imports {package}")
                if folder == "benchmarks" and package in RUNTIMES:
                    opened.setdefault(function, set()).add(package)
                if function is None and package in (INSIDE | optional) - at_once:
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
        ("mnist_edge/data/dataset.py", "import keras", "imports keras"),
        ("mnist_edge/data/idx.py", "def f():\n import keras", "imports keras"),
        ("mnist_edge/train.py", "def f():\n import matplotlib", "imports matplotlib"),
        ("mnist_edge/plots.py", "import matplotlib", "imports matplotlib outside a function"),
        ("mnist_edge/images/normalize.py", "def f():\n import keras", "imports keras"),
        ("mnist_edge/images/normalize.py", "from PIL import Image", "imports PIL outside a function"),
        ("mnist_edge/images/threshold.py", "def f():\n import PIL", "imports PIL"),
        ("mnist_edge/safety/keras_file.py", "def f():\n import keras", "imports keras"),
        ("mnist_edge/models/trained.py", "def f():\n import h5py", "imports h5py"),
        ("mnist_edge/safety/weights_file.py", "import h5py", "imports h5py outside a function"),
        ("mnist_edge/train.py", "def f():\n import tensorflow.nn", "imports tensorflow"),
        ("mnist_edge/train.py", "from export import variants", "imports export"),
        ("mnist_edge/train.py", "import keras", "imports keras outside a function"),
        ("mnist_edge/training/learner.py", "import sklearn", "imports sklearn"),
        ("export/audit.py", "from benchmarks import parity", "imports benchmarks"),
        ("benchmarks/parity.py", "import onnxruntime", "imports onnxruntime"),
        ("benchmarks/plots.py", "import scipy", "imports scipy"),
        ("benchmarks/frontier/__main__.py", "import joblib", "imports joblib outside a function"),
        (
            "benchmarks/plots.py",
            "import matplotlib",
            "imports matplotlib outside a function",
        ),
        ("benchmarks/run.py", "from export.variants import VARIANTS", "imports export"),
        (
            "mnist_edge/runtimes.py",
            "def f():\n import keras\n import onnxruntime",
            "imports 2 runtimes in one function",
        ),
    ],
)
def test_the_import_test_can_fail(tmp_path, where, code, message):
    for folder in ("mnist_edge", "export", "benchmarks/frontier"):
        (tmp_path / folder).mkdir(parents=True)
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
