"""What is timed against what; never how long it takes."""

from export import gain


def test_ours_and_kerass_own_are_held_against_an_empty_graph(small, monkeypatch, capsys):
    monkeypatch.setattr(gain, "_ROUNDS", 1)
    monkeypatch.setattr(gain, "_CALLS", 3)
    assert gain.main([str(small.folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    nodes = {line.split()[0]: int(line.split()[1]) for line in lines[:3]}
    assert list(nodes) == ["empty", "raw", "clean"]
    assert 1 == nodes["empty"] < nodes["clean"] < nodes["raw"]
    assert lines[0].endswith("1.00 times empty")
    assert lines[3].endswith("times faster than Keras's own export")
