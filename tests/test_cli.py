import contextlib
import dataclasses
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_edge import cli
from mnist_edge.errors import InputError


@dataclasses.dataclass(frozen=True)
class Settings:
    folder: Path = cli.setting(Path("here"), "a folder")
    count: int = cli.setting(3, "a number")
    limit: float | None = cli.setting(None, "a limit")
    names: tuple[str, ...] = cli.setting(("a", "b"), "names", nargs="+")
    loud: bool = cli.setting(False, "noise")
    safe: bool = cli.setting(True, "care")
    deep: bool | None = cli.setting(None, "depth")


def parse(*argv):
    return cli.parse_settings(Settings, "", argv, positional=["folder"])


def test_defaults_come_from_the_dataclass():
    assert parse() == Settings()


def test_flags_override_them():
    assert parse("there", "--count", "4", "--limit", "0.5", "--names", "c", "--loud") == Settings(
        Path("there"), 4, 0.5, ("c",), True
    )


def test_a_switch_has_its_no_form_where_its_default_is_not_false():
    assert parse("--no-safe", "--no-deep") == Settings(safe=False, deep=False)
    assert parse("--deep") == Settings(deep=True)
    with pytest.raises(SystemExit):
        parse("--no-loud")


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--cuont", "4"], r"unrecognized arguments: --cuont\. Did you mean --count\?"),
        (["--count", "x"], r"argument --count: invalid int value: 'x'\. Run: .* --help"),
    ],
)
def test_bad_usage_is_one_line_that_says_what_was_meant(capsys, argv, line):
    with pytest.raises(SystemExit) as ended:
        parse(*argv)
    assert ended.value.code == 2
    assert re.fullmatch(f"error: {line}\n", capsys.readouterr().err)


def test_a_choice_that_is_misspelled_is_suggested(capsys):
    parser = cli.parser("")
    parser.add_argument("--model", choices=["classic", "edge"])
    with pytest.raises(SystemExit):
        parser.parse_args(["--model", "clasic"])
    assert capsys.readouterr().err.endswith(" Did you mean classic?\n")


@dataclasses.dataclass(frozen=True)
class Of:
    names: tuple[str, ...] | None = None
    count: int | None = None


def test_arguments_of_a_python_function_are_settings():
    assert cli.settings_from(Of, "f", {"names": "a", "count": 2}) == Of(("a",), 2)
    assert cli.settings_from(Of, "f", {"names": ["a", "b"]}) == Of(["a", "b"])
    with pytest.raises(TypeError, match=r"^f\(\) has no argument 'name'\. Did you mean names\?$"):
        cli.settings_from(Of, "f", {"name": ()})
    with pytest.raises(InputError, match=r"count must be a number\. Got: '2'"):
        cli.settings_from(Of, "f", {"count": "2"})


def test_help_says_how_the_command_is_started():
    ran = subprocess.run(
        [sys.executable, "-m", "mnist_edge.train", "--help"], capture_output=True, text=True
    )
    assert ran.stdout.startswith("usage: python -m mnist_edge.train [-h]")


def test_help_shows_every_default(capsys):
    with pytest.raises(SystemExit) as ended:
        parse("--help")
    assert ended.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for default in ("here", "3", "a b", "True"):
        assert f"(default: {default})" in shown


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("x must be\n1"), 2, "error: x must be 1\n"),
        (OSError("odd"), 2, "error: odd\n"),
        # A file's own words: clear the screen, set the title, turn the line round.
        (InputError("x: \x1b[2J\x1b]0;y\x07 \u202e\udcff\x9bz."), 2, "error: x: [2J ]0;y z.\n"),
        (InputError("x" * 1000), 2, f"error: {'x' * 1000}\n"),
        (
            OSError(28, "No space left on device", "model.keras"),
            2,
            "error: model.keras: No space left on device. Free some space and run the command "
            "again.\n",
        ),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_expected_errors_become_one_line_and_a_status(capsys, error, status, line):
    @cli.command
    def main(argv=None):
        raise error

    assert main() == status
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_being_asked_to_end_ends_a_command_as_ctrl_c_does_with_its_own_status(
    capsys, number, status
):
    undone = []

    @cli.command
    def main(argv=None):
        try:
            os.kill(os.getpid(), number)
        finally:
            os.kill(os.getpid(), number)  # a terminal that goes may tell it twice
            undone.append(True)

    before = signal.getsignal(number)
    assert main() == status
    assert capsys.readouterr().err == "terminated\n"
    assert undone
    assert signal.getsignal(number) is before


def test_nohup_holds():
    @cli.command
    def main(argv=None):
        os.kill(os.getpid(), signal.SIGHUP)
        return 0

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert main() == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_terminal_that_went_away_is_no_traceback(monkeypatch):
    @cli.command
    def main(argv=None):
        os.kill(os.getpid(), signal.SIGHUP)

    with open("/dev/full", "w", buffering=1) as gone:
        monkeypatch.setattr(sys, "stderr", gone)
        assert main() == 129
        monkeypatch.undo()
        with contextlib.suppress(OSError):
            gone.close()


def test_a_bug_is_not_hidden():
    @cli.command
    def main(argv=None):
        raise AssertionError

    with pytest.raises(AssertionError):
        main()


def test_native_logs_are_dropped_when_all_is_well_and_shown_when_not(capfd):
    with cli.native_logs_held():
        os.write(2, b"chatter")
    assert capfd.readouterr().err == ""

    def fail():
        with cli.native_logs_held():
            os.write(2, b"cause")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert capfd.readouterr().err == "cause"
