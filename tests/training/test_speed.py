import json

import pytest

from mnist_edge.training import loop, speed
from mnist_edge.training.speed import Seconds

OTHER = f"{speed.PLAIN} of classic"
TIMES = {
    speed.OURS: Seconds(2.0, 3.0),
    speed.PLAIN: Seconds(2.5, 4.0),
    speed.STEPS: Seconds(1.9, 2.8),
}


@pytest.mark.long
def test_the_loops_take_the_same_number_of_steps_and_another_network_is_timed_beside(monkeypatch):
    learners = []
    compiled = loop.compiled
    monkeypatch.setattr(
        loop, "compiled", lambda *given: learners.append(compiled(*given)) or learners[-1]
    )
    times = speed.measure(speed.SpeedSettings("sprint", rounds=1, against="classic", images=1000))
    assert list(times) == [speed.OURS, speed.PLAIN, speed.STEPS, OTHER]
    assert all(seconds > 0 for one in times.values() for seconds in vars(one).values())
    ours, bare = learners
    assert int(ours.optimizer.iterations) == int(bare.optimizer.iterations) == 2 * 16  # 1,000 by 64


def test_the_last_line_has_the_ratios(monkeypatch, capsys):
    monkeypatch.setattr(speed, "measure", lambda settings: TIMES)
    assert speed.main([]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["ratio"], result["arithmetic_share"]) == (0.8, 0.95)
    assert (result["processor_ratio"], result["processor_arithmetic_share"]) == (0.75, 0.933)


def test_the_last_line_has_the_ratio_to_another_network(monkeypatch, capsys):
    times = TIMES | {OTHER: Seconds(1.0, 2.0)}
    monkeypatch.setattr(speed, "measure", lambda settings: times)
    assert speed.main(["--against", "classic"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["against_ratio"], result["against_processor_ratio"]) == (2.0, 1.5)


@pytest.mark.parametrize("flag", ["--rounds", "--images"])
def test_nothing_to_time_is_refused(capsys, flag):
    assert speed.main([flag, "0"]) == 2
    assert f"error: {flag} must be 1 to" in capsys.readouterr().err
