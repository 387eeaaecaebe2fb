"""The packaged `edge` as a page, made once; a browser and node where they are installed."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from export import to_web
from export.pipeline import export
from export.settings import ExportSettings
from export.web import page as pages
from mnist_edge import backend, bundle, models
from tests.conftest import _alone
from tests.safety import culprits

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def fetched(name, version, folder):
    """The unpacked folder of a package of npm, fetched once into the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mnist-edge"
    packed = cache / f"{name}-{version}.tgz"
    if not packed.exists():
        cache.mkdir(parents=True, exist_ok=True)
        try:
            command = ["npm", "pack", "--silent", "--ignore-scripts", f"{name}@{version}"]
            subprocess.run(command, cwd=cache, check=True, capture_output=True, timeout=60)
        except (OSError, subprocess.SubprocessError):
            pytest.skip(f"{name} can't be fetched by npm")
    subprocess.run(["tar", "xzf", packed, "-C", folder], check=True)
    return folder / "package"


@pytest.fixture(scope="session")
def edge(shared):
    """A bundle of the packaged `edge` with `tflite-int8`."""
    folder = shared / "web" / "edge"
    folder.parent.mkdir(exist_ok=True)
    with _alone(folder.parent):
        if not (folder / bundle.MANIFEST).exists():
            backend.start_keras()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("export.worker.Process", culprits.Here)
                source, variants = models.PRETRAINED / "edge", (pages.VARIANT,)
                export(ExportSettings(source=source, output=folder, variants=variants))
    return folder


@pytest.fixture(scope="session")
def page(edge):
    """The page of `edge`."""
    pytest.importorskip("ziglang", reason="no compiler for WebAssembly: install ziglang")
    return pages.make(edge)


@pytest.fixture(scope="session")
def package(edge, page, tmp_path_factory):
    """The package of npm that the command writes for `edge`."""
    folder = tmp_path_factory.mktemp("npm") / "edge"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mnist_edge.runtimes.wasm.compile_c", lambda *given: page.module)
        assert to_web.main([str(edge), "--package", "npm", "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def node():
    """The path of node."""
    found = shutil.which("node")
    if not found:
        pytest.skip("node is not installed")
    return found


@pytest.fixture(scope="session")
def chromium():
    """Chromium, headless."""
    reason = "Playwright's Python package is not installed"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    if not CHROMIUM:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        with contextlib.suppress(Exception):
            browser.close()
