"""A JSON record as a careless or hostile hand would change it: one value at a time.

for name, record in mutants(record, count=300, seed=0): ...
"""

import copy
import itertools

import numpy as np

REMOVED = object()
_NESTED = []
for _ in range(200):
    _NESTED = [_NESTED]
# What is put in a value's place. JSON as Python writes it has NaN and infinity, too.
_VALUES = (
    *(REMOVED, None, True, False, -1, 0, 1, 3, 2**31, 2**63, 10**400),
    *(0.5, -0.0, 1e-300, 1e300, float("nan"), float("inf"), float("-inf")),
    *("", "x", "0" * 64, "\x1b[2J\nx", "\ud800", "x" * 5000, "../../etc/passwd"),
    *([], {}, [None], ["x"] * 3, [1, 2], {"x": 1}, {"": None}, _NESTED),
)


def mutants(record, count=None, seed=0):
    """Yields `(name, mutant)`: "recipe.epochs -1", and a record that differs there alone.

    Args:
        record: What JSON holds, a dict.
        count: How many, drawn without repetition; None is all.
        seed: Which.
    """
    drawn = list(itertools.product(_places(record), range(len(_VALUES))))
    if count is not None:
        chosen = np.random.default_rng(seed).permutation(len(drawn))[:count]
        drawn = [drawn[i] for i in sorted(chosen)]
    for place, number in drawn:
        value = _VALUES[number]
        mutant = copy.deepcopy(record)
        *way, last = place
        inner = mutant
        for key in way:
            inner = inner[key]
        if value is REMOVED:
            del inner[last]
        else:
            inner[last] = value
        if not _is_same(mutant, record):
            shown = "removed" if value is REMOVED else ascii(value)[:40]
            yield f"{'.'.join(map(str, place))} {shown}", mutant


def _is_same(one, other):
    return repr(one) == repr(other)  # 1 is not True, nor 0 -0.0, and NaN is itself


def _places(value, way=()):
    """Every key's place, and the first and last of a list."""
    keys = value if isinstance(value, dict) else (0, -1)[: len(value)]
    for key in keys:
        yield (*way, key)
        if isinstance(value[key], dict | list):
            yield from _places(value[key], (*way, key))
