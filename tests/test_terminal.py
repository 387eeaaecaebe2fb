"""Whatever becomes of a command's output, it does its work and ends with a status of its own."""

import csv
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import benchmarks.__main__ as benchmarks
from benchmarks import plots as benchmark_pictures
from benchmarks import report
from mnist_edge import classifier, cli, images, predict
from mnist_edge.examples import Example
from mnist_edge.images import pictures, sheet
from tests import tiny
from tests.benchmarks import made
from tests.images import drawn

# A command that prints what no narrow terminal has, and then says how it is.
PROGRAM = """
import sys
from mnist_edge import cli
from mnist_edge.errors import InputError

@cli.command
def main(argv=None):
    for number in range(int(sys.argv[1])):
        print("µ – 日本", number)
    if sys.argv[2] == "error":
        raise InputError("it must be – and is 日本.")
    with open(sys.argv[3], "w") as file:
        print(file.fileno(), file=file)
    return int(sys.argv[2])

sys.exit(main())
"""


@pytest.fixture
def ended(tmp_path):
    """Runs the program in a shell, its standard streams as `redirection` has them."""

    def run(redirection, status, count=3, **environment):
        words = [sys.executable, "-c", PROGRAM, str(count), str(status), str(tmp_path / "made")]
        return subprocess.run(
            ["bash", "-c", f'set -o pipefail; "$@" {redirection}', "bash", *words],
            env=os.environ | environment,
            capture_output=True,
        )

    return run


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("status", [0, 1])
def test_closed_streams_change_nothing(ended, tmp_path, redirection, status):
    ran = ended(redirection, status)
    assert ran.returncode == status
    assert ran.stderr == b""
    # A file of the command's own is never opened as number 1 or 2, which libraries log to.
    assert int((tmp_path / "made").read_text()) > 2


def test_an_error_is_said_where_standard_output_is_closed(ended):
    ran = ended(">&-", "error")
    assert ran.returncode == 2
    assert ran.stderr.decode() == "error: it must be – and is 日本.\n"
    assert ended("2>&-", "error").returncode == 2


def test_an_output_that_nobody_reads_to_its_end_is_quiet(ended):
    ran = ended("| head -1", 0, count=100_000)
    assert ran.returncode == 141
    assert ran.stdout.decode() == "µ – 日本 0\n"
    assert ran.stderr == b""


def test_an_output_that_is_full_is_one_line(ended):
    ran = ended("> /dev/full", 0)
    assert ran.returncode == 2
    assert ran.stderr.startswith(b"error: a file: No space left on device. Free some space")
    assert ran.stderr.count(b"\n") == 1


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_narrow_terminal_gets_escapes(ended, encoding):
    ran = ended("", 1, PYTHONIOENCODING=encoding)
    assert ran.returncode == 1
    dash = "µ – 日本 0".encode(encoding, errors="backslashreplace")
    assert ran.stdout.splitlines()[0] == dash
    assert ended("", "error", PYTHONIOENCODING=encoding).returncode == 2


def test_a_real_command_under_a_latin_1_terminal_and_no_terminal(tmp_path):
    """Pictures are looked for before Keras is started."""
    command = [sys.executable, "-m", "mnist_edge.predict", str(tmp_path / "日本.png")]
    for redirection in ("", "2>&-", ">&- 2>&-"):
        ran = subprocess.run(
            ["bash", "-c", f'"$@" {redirection}', "bash", *command],
            env=os.environ | {"PYTHONIOENCODING": "latin-1"},
            capture_output=True,
        )
        assert ran.returncode == 2
        assert ran.stdout == b""
        assert ran.stderr.count(b"\n") == (not redirection)


def test_a_benchmark_is_written_before_it_is_printed(
    tiny_bundle, without_keras, monkeypatch, capsys
):
    def closed(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr(benchmarks, "print", closed, raising=False)
    assert benchmarks.main([str(tiny_bundle), *tiny.QUICK]) == cli.UNREAD
    markdown = (tiny_bundle / report.BENCHMARK_MARKDOWN).read_bytes().decode("utf-8")
    assert "µs" in markdown
    assert json.loads((tiny_bundle / report.BENCHMARK_JSON).read_bytes())["passed"] is True


def test_reports_are_utf_8_whatever_the_locale_is(tmp_path):
    """`write_text` alone would go by the locale, which Python asks for as it starts."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from benchmarks import report\n"
        "report.plots.draw = lambda *_: []\n"
        "report.markdown = lambda _: '\\xb5 \\u2013 \\udcff'\n"
        "report.schema.write = lambda *_: None\n"
        "report.write(None, [], Path(sys.argv[1]))\n"
    )
    environment = {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", program, str(tmp_path)]
    subprocess.run(command, env=os.environ | environment, check=True)
    assert (tmp_path / report.BENCHMARK_MARKDOWN).read_bytes().decode() == "µ – \\udcff"


# Names of files, which may be of any bytes but 0 and /.

NAMES = (b"a\nb.png", b"esc\x1b[2J.png", b"\xff\xfe.png", "日本.png".encode())


@pytest.fixture
def folder(tmp_path):
    """A folder of pictures that all show a 4."""
    picture = drawn.save("300 pixels, dark on light", 4, tmp_path)
    made = tmp_path / "pictures"
    made.mkdir()
    for name in NAMES:
        os.link(picture, os.fsencode(made) + b"/" + name)
    return made


def test_pictures_of_any_name_are_read_and_printed(folder, tmp_path):
    digits = images.load([folder])
    assert {os.path.basename(os.fsencode(digit.name)) for digit in digits} == set(NAMES)
    given = [Example(digit.name, digit.pixels, digit) for digit in digits]
    found = classifier.answers(given, np.tile(np.float32([0.2, 0.7, 0.1]), (4, 1)), "abc")
    heading, *rows = predict.as_table(found).splitlines()
    assert heading.startswith("picture ")
    assert len(rows) == 4
    assert all(row.isprintable() for row in rows)
    as_json = predict.as_json(found).encode()
    assert {row["picture"] for row in json.loads(as_json)} == {digit.name for digit in digits}
    as_csv = predict.as_csv(found).encode()
    names = [row["picture"] for row in csv.DictReader(io.StringIO(as_csv.decode()))]
    assert names == [cli.printable(digit.name) for digit in digits]
    sheet.draw(found, tmp_path / "seen.png")
    with Image.open(tmp_path / "seen.png") as drawing:
        assert drawing.format == "PNG"


def test_a_picture_of_any_name_that_is_none_is_one_line(folder, capsys):
    for name in NAMES:
        path = os.fsdecode(os.fsencode(folder) + b"/" + name)
        os.unlink(path)
        with open(path, "wb") as file:
            file.write(b"no picture")
        assert predict.main([path]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert said[:-1].isprintable()
    assert len(pictures.listed(folder)) == 4


def test_a_folder_whose_name_is_a_broken_formula_is_drawn(tmp_path):
    rows = [made.row("x", 0.5, 1, 1.0, bundle=name) for name in ("$\\frac$", "b")]
    benchmark_pictures._scatter(
        [(row, row.parity) for row in rows], True, "10 images", tmp_path / "a.png"
    )
    assert (tmp_path / "a.png").exists()
