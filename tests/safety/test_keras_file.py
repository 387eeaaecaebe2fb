"""Hostile archives are refused before Keras sees them, by every command."""

import io
import os
import struct
import zipfile

import pytest
from PIL import Image

from benchmarks import card
from export import __main__ as command
from mnist_edge import bundle, evaluate, predict, runtimes
from mnist_edge.errors import InputError
from mnist_edge.safety import keras_file
from mnist_edge.safety.keras_file import CONFIG, METADATA, WEIGHTS
from tests.safety.culprits import (
    bundle_of,
    lambda_layer,
    refused_by_export,
    swollen,
    with_config,
    with_weights,
    write_archive,
)


def packed(honest, change=lambda archive: None, method=zipfile.ZIP_STORED):
    """The bytes of an archive of the honest members and of what `change` does besides."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in honest.items():
            archive.writestr(name, content)
        change(archive)
    return file.getvalue()


def linked(archive):
    archive.getinfo(WEIGHTS).external_attr = 0o120777 << 16


def encrypted(archive):
    archive.getinfo(CONFIG).flag_bits |= 1


def commented(archive):
    archive.comment = b"x"


def patched_end(content, entries):
    """With another count of entries at the end, as a directory of millions would have it."""
    return content[:-12] + struct.pack("<H", entries) + content[-10:]


def zip64(content):
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    return content[:-22] + locator + content[-22:]


def lying_size(content):
    """Its directory says that config.json has a byte less."""
    at = content.rindex(CONFIG.encode()) - 46
    size = struct.unpack_from("<L", content, at + 24)[0]
    return content[: at + 24] + struct.pack("<L", size - 1) + content[at + 28 :]


ZEROS = bytes(20_000_000)
ARCHIVES = {
    "empty": (lambda h: b"", "not a zip file"),
    "a web page": (lambda h: b"<!doctype html><title>404</title>" * 9, "not a zip file"),
    "cut short": (lambda h: packed(h)[:-1000], "not a zip file"),
    "something behind it": (lambda h: packed(h) + b"x", "not a zip file"),
    "something before it": (lambda h: b"x" + packed(h), "more than Keras puts there"),
    "a comment": (lambda h: packed(h, commented), "not a zip file as Keras writes it"),
    "ZIP64": (lambda h: zip64(packed(h)), "more than Keras puts there"),
    "65,535 members": (lambda h: patched_end(packed(h), 65535), "has 65,535 members"),
    "a member outside": (
        lambda h: packed(h, lambda a: a.writestr("../../x", b"x")),
        "has 4 members",
    ),
    "another member": (
        lambda h: packed({name: h[name] for name in (METADATA, CONFIG)} | {"../x": b""}),
        r"must hold config.json, metadata.json, model.weights.h5. Got: .*\.\./x",
    ),
    "assets": (lambda h: packed(h, lambda a: a.writestr("assets/v.txt", b"")), "has 4 members"),
    "a member twice": (
        lambda h: packed({METADATA: h[METADATA], CONFIG: h[CONFIG]}, lambda a: twice(a, h)),
        "must hold config.json, metadata.json, model.weights.h5. Got",
    ),
    "no weights": (lambda h: packed({CONFIG: h[CONFIG]}), "must hold"),
    "a symbolic link": (lambda h: packed(h, linked), "is not a regular file"),
    "encrypted": (lambda h: packed(h, encrypted), "its config.json is encrypted"),
    "LZMA": (lambda h: packed(h, method=zipfile.ZIP_LZMA), "packed by method 14"),
    "weights of zeros, deflated": (
        lambda h: packed(h | {WEIGHTS: ZEROS}, method=zipfile.ZIP_DEFLATED),
        "its model.weights.h5 unpacks 19,",
    ),
    "a configuration of zeros": (
        lambda h: packed(h | {CONFIG: ZEROS}, method=zipfile.ZIP_DEFLATED),
        "its config.json unpacks to 20,000,000 bytes",
    ),
    "sizes that lie": (lambda h: lying_size(packed(h)), "Bad CRC-32"),
    "weights that are not HDF5": (lambda h: packed(h | {WEIGHTS: b"\x80\x04K."}), "not HDF5"),
    "metadata that are not Keras's": (lambda h: packed(h | {METADATA: b"[]"}), "not Keras's"),
}


def twice(archive, honest):
    with pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(CONFIG, honest[CONFIG])


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_that_keras_did_not_write_is_refused(honest, tmp_path, capsys, name):
    make, reason = ARCHIVES[name]
    path = tmp_path / "model.keras"
    path.write_bytes(make(honest))
    with pytest.raises((ValueError, zipfile.BadZipFile), match=reason):
        keras_file.check(path)
    assert refused_by_export(path, tmp_path, capsys).startswith(f"error: {path} can't be loaded: ")


def test_an_archive_that_was_packed_again_passes(honest, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(packed(honest, method=zipfile.ZIP_DEFLATED))
    assert keras_file.check(path)


# Not files at all.


def test_folders_pipes_and_devices_are_refused(honest, tmp_path, capsys):
    (tmp_path / "folder.keras").mkdir()
    (tmp_path / "folder.keras" / CONFIG).write_bytes(honest[CONFIG])
    os.mkfifo(tmp_path / "pipe.keras")
    (tmp_path / "device.keras").symlink_to("/dev/zero")
    for name in ("folder", "pipe", "device"):
        line = refused_by_export(tmp_path / f"{name}.keras", tmp_path, capsys)
        assert "it must be a regular file. Got: a " in line


def test_a_file_too_large_is_refused_unread(honest, tmp_path, monkeypatch, capsys):
    path = write_archive(tmp_path / "model.keras", honest)
    monkeypatch.setattr(keras_file, "MOST_BYTES", path.stat().st_size - 1)
    assert "at most" in refused_by_export(path, tmp_path, capsys)


@pytest.mark.parametrize("place", ["hf://user/model", "gs://bucket/m.keras", "https://x.y/m.keras"])
def test_places_on_the_net_are_refused(tmp_path, capsys, place):
    line = refused_by_export(place, tmp_path, capsys)
    assert "must be a bundle's folder or a .keras file on this computer" in line


def test_the_older_format_is_refused_with_the_line_that_converts_it(tmp_path, capsys):
    (tmp_path / "model.h5").write_bytes(b"")
    convert = "keras.models.load_model('model.h5').save('model.keras')"
    assert convert in refused_by_export(tmp_path / "model.h5", tmp_path, capsys)


# The other doors.


@pytest.fixture
def evil_bundle(honest, tmp_path, marker):
    """A bundle whose record vouches for a model that would run code."""
    (tmp_path / "theirs").mkdir()
    path = tmp_path / "theirs" / bundle.MODEL
    with_config(path, honest, lambda c: c["config"]["layers"].append(lambda_layer(marker)))
    return bundle_of(path)


@pytest.fixture
def swollen_bundle(honest, tmp_path):
    """A bundle of 74 kB whose record vouches for weights of more than a gigabyte."""
    (tmp_path / "theirs").mkdir()
    path = tmp_path / "theirs" / bundle.MODEL
    write_archive(path, with_weights(honest, tmp_path / "weights", swollen))
    assert path.stat().st_size < 100_000
    return bundle_of(path)


DOORS = {
    "evaluate": lambda folder, data: evaluate.main([str(folder)]),
    "predict": lambda folder, data: predict.main(["--model", str(folder), str(folder / "x.png")]),
    "export": lambda folder, data: command.main([str(folder)]),
    "card": lambda folder, data: card.main([str(folder)]),
}


def refusal_at(door, folder, small_data, capsys):
    """The one line of a command that refuses a bundle and leaves it as it was."""
    digit = Image.new("L", (28, 28))
    digit.paste(255, (12, 6, 16, 22))
    digit.save(folder / "x.png")
    before = sorted(folder.rglob("*"))
    assert DOORS[door](folder, small_data) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sorted(folder.rglob("*")) == before
    return line


@pytest.mark.parametrize("door", DOORS)
def test_every_command_refuses_a_bundle_that_vouches_for_code(
    evil_bundle, small_data, capsys, door
):
    line = refusal_at(door, evil_bundle, small_data, capsys)
    assert "model.keras can't be loaded: it holds a Lambda layer" in line


@pytest.mark.parametrize("door", DOORS)
def test_every_command_refuses_weights_that_unpack_to_gigabytes(
    swollen_bundle, small_data, capsys, door
):
    line = refusal_at(door, swollen_bundle, small_data, capsys)
    assert "model.keras can't be loaded: its weights unpack to 1,200," in line


def test_the_benchmarks_refuse_code(evil_bundle):
    with pytest.raises(InputError, match="it holds a Lambda layer"):
        runtimes.open_artifact(evil_bundle / bundle.MODEL, threads=1)
