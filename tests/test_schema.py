"""Records in JSON: what a stranger's file holds is validated before anything uses it."""

import dataclasses
import json
from typing import Annotated, ClassVar

import pytest

from mnist_edge import bundle, schema
from mnist_edge.errors import InputError


@dataclasses.dataclass(frozen=True)
class Inner:
    share: schema.Share
    names: tuple[schema.Name, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outer(schema.Record):
    inner: Inner
    pair: tuple[int, float]
    count: schema.Count | None
    by_name: dict[str, Inner]
    kind: Annotated[str, schema.one_of("a", "b")]


@dataclasses.dataclass(frozen=True)
class Closed:
    CLOSED: ClassVar[bool] = True
    epochs: int = 1


RECORD = Outer(
    inner=Inner(0.5, ("x", "y")), pair=(1, 2.5), count=None, by_name={"one": Inner(1)}, kind="a"
)


def as_json(record):
    return json.loads(json.dumps(schema.encode(record)))


def test_a_record_that_is_written_is_read_back_the_same(tmp_path):
    schema.write(tmp_path / "x.json", RECORD)
    assert schema.read(Outer, tmp_path / "x.json", "") == RECORD


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inner": 3}, "inner must be an object. Got: 3"),
        ({"inner": {}}, "inner.share is missing"),
        ({"inner": {"share": 1.5}}, "inner.share must be a number, 0 to 1. Got: 1.5"),
        ({"inner": {"share": True}}, "inner.share must be a number, 0 to 1. Got: True"),
        ({"inner": {"share": float("nan")}}, "inner.share must be a number, 0 to 1. Got: nan"),
        ({"inner": {"share": 0, "names": ["../x"]}}, "inner.names[0] must be a name"),
        ({"pair": [1]}, "pair must be a list of 2. Got: list of 1"),
        ({"pair": [1.5, 2]}, "pair[0] must be an integer. Got: 1.5"),
        ({"count": -1}, "count must be an integer of 0 or more. Got: -1"),
        ({"count": 10**400}, "Got: an integer of 1329 bits"),
        ({"by_name": {"x": 1}}, "by_name.x must be an object. Got: 1"),
        ({"by_name": {"x\x1b[2J": 1}}, "a key of by_name must be printable text. Got: x [2J"),
        ({"kind": "c"}, "kind must be a or b. Got: c"),
    ],
)
def test_a_value_of_another_kind_is_named_by_its_place(change, words):
    with pytest.raises(schema.SchemaError) as caught:
        schema.decode(Outer, as_json(RECORD) | change)
    assert words in str(caught.value)


def test_a_field_with_a_default_may_be_missing_and_others_are_ignored():
    assert schema.decode(Inner, {"share": 0, "more": 1}) == Inner(0)


def test_a_closed_record_refuses_a_field_that_it_does_not_know():
    with pytest.raises(schema.SchemaError, match=r"with known keys only\. Got: teacher"):
        schema.decode(Closed, {"teacher": None})


@pytest.mark.parametrize("change", [{"schema": 2}, {"schema": None}, {"project": "other"}])
def test_a_record_of_another_version_or_project_is_refused_with_what_to_do(tmp_path, change):
    bundle.write_json(tmp_path / "x.json", schema.encode(RECORD) | change)
    ((key, value),) = change.items()
    with pytest.raises(InputError, match=rf"{key} must be .* Got: {value}\. Export again"):
        schema.read(Outer, tmp_path / "x.json", "Export again.")
