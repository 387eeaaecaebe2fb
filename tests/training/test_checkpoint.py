"""A checkpoint is whole whatever happens to its writer, and says so where it is not."""

import errno
import hashlib
import json
import os
import signal

import numpy as np
import pytest

from mnist_edge import bundle
from mnist_edge.errors import InputError
from mnist_edge.training.checkpoint import Checkpoint, Run
from tests import killed

IDENTITY = {"model": "edge", "seed": 0}


class Variable(np.ndarray):
    """An array that is assigned to as Keras's variables are."""

    def assign(self, value):
        self[...] = value


def variables(value):
    return [np.full(shape, value, np.float32).view(Variable) for shape in ((3, 4), (5,))]


def keep(folder, epochs, value=None):
    """Keeps a run of so many epochs, its variables all of one value."""
    run = Run({"loss": [0.1] * epochs}, [np.full(2, epochs)], seconds=epochs)
    Checkpoint(folder, IDENTITY).save(variables(epochs if value is None else value), run)


def restored(folder, warnings=None):
    """`(epochs, value)` of what is kept."""
    given = variables(-1)
    warn = (lambda line: pytest.fail(line)) if warnings is None else warnings.append
    run = Checkpoint(folder, IDENTITY).restore(given, warn)
    (value,) = set(np.concatenate([variable.ravel() for variable in given]))
    return run.epochs, value


def test_the_last_two_epochs_are_kept(tmp_path):
    for epochs in (1, 2, 3):
        keep(tmp_path / "c", epochs)
    assert sorted(os.listdir(tmp_path / "c")) == ["epoch-00002", "epoch-00003"]
    assert restored(tmp_path / "c") == (3, 3)


def test_a_run_that_begins_anew_leaves_nothing_of_the_run_before(tmp_path):
    for epochs in (5, 6):
        keep(tmp_path, epochs)
    keep(tmp_path, 1, value=7)
    assert restored(tmp_path) == (1, 7)
    assert os.listdir(tmp_path) == ["epoch-00001"]


@pytest.mark.parametrize("name", ["variables.npz", "best.npz", "state.json"])
@pytest.mark.parametrize("damage", ["removed", "truncated", "empty", "flipped"])
def test_a_damaged_epoch_falls_back_to_the_one_before_with_a_warning(tmp_path, name, damage):
    for epochs in (1, 2):
        keep(tmp_path, epochs)
    path = tmp_path / "epoch-00002" / name
    content = path.read_bytes()
    if damage == "removed":
        path.unlink()
    if damage in ("truncated", "empty"):
        path.write_bytes(content[: len(content) // 2 if damage == "truncated" else 0])
    if damage == "flipped":
        at = len(content) - 30
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    warnings = []
    assert restored(tmp_path, warnings) == (1, 1)
    assert len(warnings) == 1
    assert warnings[0].endswith("continuing from the epoch before")
    keep(tmp_path, 2, value=9)  # the damaged epoch, trained again
    assert restored(tmp_path) == (2, 9)


def hostile_arrays(path):
    np.savez(path / "variables.npz", a=np.array([{}], dtype=object))


def nothing_in_it(path):
    np.savez(path / "best.npz")


STATES = {
    "no object": lambda path, state: [],
    "no history": lambda path, state: state | {"history": [1]},
    "no losses": lambda path, state: state | {"history": {"loss": "abc"}},
    "no identity": lambda path, state: state | {"identity": None},
    "no hashes": lambda path, state: state | {"sha256": {}},
    "a pickle": lambda path, state: hostile_arrays(path) or rehashed(path, state),
    "an empty archive": lambda path, state: nothing_in_it(path) or rehashed(path, state),
}


def rehashed(path, state):
    return state | {"sha256": {name: bundle.sha256_file(path / name) for name in state["sha256"]}}


@pytest.mark.parametrize("name", STATES)
def test_an_epoch_that_vouches_for_what_it_is_not_falls_back_too(tmp_path, name):
    for epochs in (1, 2):
        keep(tmp_path, epochs)
    path = tmp_path / "epoch-00002"
    state = bundle.read_json(path / bundle.STATE, (), "")["state"]
    state = STATES[name](path, state)
    sha256 = hashlib.sha256(json.dumps(state).encode()).hexdigest()
    bundle.write_json(path / bundle.STATE, {"state": state, "sha256": sha256})
    warnings = []
    assert restored(tmp_path, warnings) == (1, 1)
    assert "damaged" in warnings[0] or "pickle" in warnings[0]
    assert warnings[0].endswith("continuing from the epoch before")


def test_a_run_that_keeps_no_best_weights_goes_on_without(tmp_path):
    Checkpoint(tmp_path, IDENTITY).save(variables(1), Run({"loss": [0.1]}, seconds=1))
    assert sorted(os.listdir(tmp_path / "epoch-00001")) == ["state.json", "variables.npz"]
    assert restored(tmp_path) == (1, 1)
    assert Checkpoint(tmp_path, IDENTITY).restore(variables(0), pytest.fail).best_weights == []


def test_arrays_of_another_model_are_one_line(tmp_path):
    keep(tmp_path, 1)
    with pytest.raises(InputError, match=r"holds arrays that do not fit the model\. Train without"):
        Checkpoint(tmp_path, IDENTITY).restore(variables(0)[:1], pytest.fail)


def test_where_every_epoch_is_damaged_the_run_is_refused(tmp_path):
    for epochs in (1, 2):
        keep(tmp_path, epochs)
        (tmp_path / f"epoch-0000{epochs}" / "state.json").write_text("{")
    with pytest.raises(InputError, match=r"no epoch that is whole\. Train without --resume"):
        restored(tmp_path, [])


def test_a_folder_with_foreign_files_is_refused_and_never_deleted(tmp_path):
    checkpoint = Checkpoint(tmp_path / "c", IDENTITY)
    checkpoint.check()  # there is none yet
    keep(tmp_path / "c", 1)
    (tmp_path / "c" / ".staged-x").mkdir()  # a killed writer's
    checkpoint.check()
    for foreign in (tmp_path / "c" / "notes.txt", tmp_path / "c" / "epoch-00001" / "notes.txt"):
        keep(tmp_path / "c", 1)
        foreign.touch()
        with pytest.raises(InputError, match=r"and nothing else\. Got: .*Move it elsewhere"):
            checkpoint.check()
        checkpoint.remove()
        assert foreign.exists()
        assert not list((tmp_path / "c").glob("epoch*/*.npz"))
        foreign.unlink()


def test_a_full_disk_leaves_the_last_epoch_as_it_was(tmp_path, monkeypatch):
    keep(tmp_path, 1)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        keep(tmp_path, 2)
    assert restored(tmp_path) == (1, 1)
    assert os.listdir(tmp_path) == ["epoch-00001"]


KEEPING = """
from tests.training.test_checkpoint import keep
keep(folder, 3)
"""


def test_a_kill_at_any_step_of_writing_leaves_the_old_epoch_or_the_new_one(tmp_path):
    seen = []
    while not seen or seen[-1][0]:
        folder = tmp_path / str(len(seen))
        for epochs in (1, 2):
            keep(folder, epochs)
        seen.append((killed.run(KEEPING, folder, len(seen)), *restored(folder)))
        Checkpoint(folder, IDENTITY).check()
        keep(folder, 4)
        assert not list(folder.glob(bundle.STAGED + "*"))
    assert len(seen) > 8
    assert set(seen) == {(-signal.SIGKILL, 2, 2), (-signal.SIGKILL, 3, 3), (0, 3, 3)}
