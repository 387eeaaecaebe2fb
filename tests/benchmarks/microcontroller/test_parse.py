"""What a program sends is read strictly; what is missing is said in one line."""

import numpy as np
import pytest

from benchmarks.microcontroller import __main__ as command
from benchmarks.microcontroller import emulate, tools
from benchmarks.microcontroller.boards import BOARDS
from mnist_edge.errors import InputError

M0, M3, *_ = BOARDS


def sent(board, ticks=500, stack=40, start=0x4547444D, end=0x444E4521, loops=1_000_000):
    words = [start, 3200, 3200 + round(loops / board.instructions_per_tick), 2, ticks, stack]
    return np.array(words, "<u4").tobytes() + b"ab" + np.array([end], "<u4").tobytes()


def test_ticks_become_instructions():
    got = emulate.parse(M0, sent(M0), 1, 2)
    assert (got.golden_differing, got.instructions[0], got.stack[0]) == (2, 500 * 62.5, 40)
    assert bytes(got.outputs[0]) == b"ab"


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        (sent(M3)[:-1], "ended early"),
        (b"", "ended early"),
        (sent(M3) + b"x", "something else"),
        (sent(M3, start=1), "something else"),
        (sent(M3, end=1), "something else"),
        (sent(M3, loops=999_900), "1,000,000 instructions were counted as 999,920"),
        (sent(M3, ticks=2**32 - 1), "timer"),
        (sent(M3, stack=2**32 - 1), "stack"),
    ],
)
def test_anything_else_is_refused(changed, cause):
    with pytest.raises(tools.ToolFailed, match=cause):
        emulate.parse(M3, changed, 1, 2)


def test_missing_tools_are_one_line_that_says_what_to_install(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert command.main([str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert tools.PACKAGES in message


def test_settings_are_checked():
    with pytest.raises(InputError, match="--limit must be 1 or more"):
        command.MicrocontrollerSettings(limit=0)
