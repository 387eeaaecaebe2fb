"""`web-int8`: the page as a variant of an export, which belongs to its artifact."""

import shutil

import pytest

from export import __main__ as command
from export.web import page as pages
from mnist_edge import manifest
from mnist_edge.errors import InputError

pytest.importorskip("ziglang")
pytestmark = pytest.mark.usefixtures("converted_once")


def exported(folder, *flags):
    return command.main([str(folder), *flags])


@pytest.fixture(scope="module")
def with_page(small, tmp_path_factory):
    folder = small.copy(tmp_path_factory.mktemp("page") / "bundle")
    assert exported(folder, "--variants", "web-int8") == 0
    return folder


@pytest.fixture
def folder(with_page, tmp_path):
    """A bundle with a page, that a test may change."""
    return shutil.copytree(with_page, tmp_path / "bundle")


def test_the_variant_is_the_page_of_to_web_and_goes_with_its_artifact(folder, capsys):
    record = manifest.read(folder, "")
    path = folder / record.page.file
    assert not manifest.damage(path, record.page)
    assert path.read_bytes() == pages.make(folder).content
    # The same bytes of tflite-int8 again: the page is still theirs.
    assert exported(folder, "--variants", "tflite-int8") == 0
    assert "index.html, around tflite-int8" in capsys.readouterr().out
    assert manifest.read(folder, "").page == record.page
    # Other bytes: the page would show another model than the artifact.
    assert exported(folder, "--variants", "tflite-int8", "--calibration-seed", "1") == 0
    assert manifest.read(folder, "").page is None
    assert not path.exists()
    assert "index.html removed" in "".join(capsys.readouterr())


def test_a_page_that_was_edited_is_not_removed(folder):
    (folder / "index.html").write_text("mine")
    assert exported(folder, "--variants", "tflite-int8", "--calibration-seed", "1") == 0
    assert (folder / "index.html").read_text() == "mine"
    assert manifest.read(folder, "").page is None


@pytest.mark.parametrize("flags", [(), ("--all-or-nothing",)])
def test_a_page_that_can_not_be_made_fails_and_is_listed(
    small, tmp_path, flags, monkeypatch, capsys
):
    def refuse(*arguments):
        raise InputError("C has no operator FOO. Use the TFLite file.")

    monkeypatch.setattr(pages, "compiled", refuse)
    folder = small.copy(tmp_path / "bundle")
    before = (folder / "manifest.json").read_bytes()
    assert exported(folder, "--variants", "web-int8", *flags) == 1
    assert "web-int8: C has no operator FOO" in capsys.readouterr().err
    if flags:
        assert (folder / "manifest.json").read_bytes() == before
    else:
        (failure,) = manifest.read(folder, "").failures
        assert (failure.variant, failure.cause) == ("web-int8", "unsupported")
    assert not (folder / "index.html").exists()


def test_a_manifest_names_no_other_kind_of_file_as_its_page(folder):
    """What is named there is removed when its artifact changes."""
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"index.html"', '"model.keras"'))
    with pytest.raises(InputError, match=r"page\.file"):
        manifest.read(folder, "Export it again.")
