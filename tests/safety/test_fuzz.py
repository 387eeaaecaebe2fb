"""Mutants: none reaches the process that benchmarks or audits, and each is counted."""

import pytest

from benchmarks import overhead
from tests.mutants import mutants
from tests.safety import fuzz

# The least that a run of 100 must tell apart, so that it is known to reach each outcome.
LEAST = {fuzz.REFUSED: 10, fuzz.FAILED: 1, fuzz.CAUGHT: 1, fuzz.HARMLESS: 10}


@pytest.mark.parametrize("format", overhead.GRAPHS)
def test_100_mutants_of_a_format_leave_the_parent_alive_and_small(small, format):
    counts = fuzz.run(small.folder, format, 100, seed=0)
    print(format, dict(counts.outcomes), dict(counts.audits), counts.other_bits)
    assert counts.deaths == []
    assert sum(counts.outcomes.values()) == sum(counts.audits.values()) == 100
    assert counts.growth_bytes < 50e6
    for outcome, least in LEAST.items():
        assert counts.outcomes[outcome] >= least, counts.outcomes
    assert counts.audits["reader died"] == 0


@pytest.mark.long
@pytest.mark.parametrize("format", overhead.GRAPHS)
def test_3000_mutants_of_a_format_leave_the_parent_alive_and_small(small, format):
    counts = fuzz.run(small.folder, format, 3000, seed=1)
    assert counts.deaths == []
    assert counts.growth_bytes < 50e6


@pytest.mark.parametrize("format", overhead.GRAPHS)
def test_mutants_are_their_seeds_and_no_file(format):
    contents = {f"{format}-float32": overhead.GRAPHS[format].read_bytes()}
    first = dict(mutants(format, contents, 30, seed=5))
    assert dict(mutants(format, contents, 10, seed=5, start=20)).items() <= first.items()
    assert len(first) == 30
    assert first != dict(mutants(format, contents, 30, seed=6))
    assert contents[f"{format}-float32"] not in first.values()
    assert len({name.split(" ", 2)[2] for name in first}) > 10  # kinds of change


def test_what_a_mutant_raises_here_is_a_death(small, monkeypatch):
    def raising(*_):
        raise RuntimeError("not handled")

    monkeypatch.setattr(fuzz.gate, "check", raising)
    counts = fuzz.run(small.folder, "onnx", 20, audited=False)
    assert counts.outcomes[fuzz.DEATH] == len(counts.deaths) > 0
    assert "RuntimeError: not handled" in counts.deaths[0]


def test_a_crash_is_blamed_on_the_mutant_that_crashes_alone(small):
    """The second mutant's death was the first one's doing: it is harmless."""
    (read,) = fuzz.bundles.load_all([small.folder])
    artifact = next(one for one in read.artifacts if one.variant == "onnx-float32")
    bench = fuzz._Bench("onnx", read)
    try:
        assert bench.take(artifact.path, artifact) == (fuzz.HARMLESS, "the same bits")
        bench._worker._process.kill()
        assert bench.take(artifact.path, artifact) == (fuzz.HARMLESS, "the same bits")
    finally:
        bench.close()


def test_the_command_prints_the_counts(small, capsys):
    assert fuzz.main([str(small.folder), "--mutants", "5", "--seed", "3"]) == 0
    printed = capsys.readouterr().out
    assert "tflite: 5 mutants of seed 3: " in printed
    assert printed.count("parent deaths 0, ") == 2
