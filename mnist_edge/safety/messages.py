"""What passes between a process and its parent: JSON and arrays of numbers, never pickles.

A message is a list of items; each is something that JSON holds, or an array.
"""

import json
import math

import numpy as np

# Element types as NumPy's `dtype.str` has them; anything else is no array of numbers.
_DTYPES = frozenset(
    np.dtype(name).str
    for name in ("bool", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)))
) | frozenset(np.dtype(f"f{size}").str for size in (2, 4, 8))
_LENGTH_BYTES = 4
# Opens every message: the length of the rest.
FRAME_BYTES = 8


def pack(items):
    """A message's bytes, its length before it.

    Args:
        items: list; each an array of numbers, or what JSON holds.
    """
    heads, arrays = [], []
    for item in items:
        if isinstance(item, np.ndarray):
            heads.append({"dtype": item.dtype.str, "shape": item.shape})
            arrays.append(item.tobytes())
        else:
            heads.append({"json": item})
    head = json.dumps(heads).encode()
    length = _LENGTH_BYTES + len(head) + sum(map(len, arrays))
    parts = (length.to_bytes(FRAME_BYTES), len(head).to_bytes(_LENGTH_BYTES), head, *arrays)
    return b"".join(parts)


def unpack(body):
    """The items of a message.

    Args:
        body: Its bytes without the length, from anyone.

    Returns:
        list, as `pack` was given it; arrays take no more memory than `body`.

    Raises:
        ValueError: It is no message.
    """
    try:
        start = _LENGTH_BYTES + int.from_bytes(body[:_LENGTH_BYTES])
        items = []
        for head in json.loads(body[_LENGTH_BYTES:start]):
            if "json" in head:
                items.append(head["json"])
                continue
            array = _array(body, start, head["dtype"], head["shape"])
            start += array.nbytes
            items.append(array)
        if start != len(body):
            raise ValueError(f"{len(body)} bytes where its head says {start}")
    except (KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"no message: {type(error).__name__}") from error
    return items


def _array(body, start, dtype, shape):
    if dtype not in _DTYPES or not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError("no array of numbers")
    count = math.prod(shape)
    if start + count * np.dtype(dtype).itemsize > len(body):
        raise ValueError("an array longer than its message")
    # A copy: what follows a head of any length is not aligned.
    return np.frombuffer(body, dtype, count, start).reshape(shape).copy()
