"""What every change is drawn from; and changes of bytes, whatever the format."""

# Where a size, an index or a count goes wrong.
NUMBERS = (-1, -2, 0, 1, 2, 3, 7, 255, 1 << 16, 1 << 24, (1 << 31) - 1)
FLOATS = (0.0, -1.0, float("nan"), float("inf"), 1e-45, 1e38)


def pick(rng, values):
    return values[int(rng.integers(len(values)))]


def index(rng, count):
    """An index: of another thing, or of none."""
    return int(pick(rng, (*NUMBERS, count, int(rng.integers(count)), int(rng.integers(count)))))


def flipped_bits(content, rng):
    changed = bytearray(content)
    for place in rng.integers(len(content), size=pick(rng, (1, 2, 8, 64))):
        changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _truncated(content, rng):
    return content[: int(rng.integers(len(content)))]


def _overwritten_number(content, rng):
    place = int(rng.integers(len(content) - 8)) & ~3
    value = pick(rng, NUMBERS).to_bytes(4, "little", signed=True)
    return content[:place] + value + content[place + 4 :]


def _cut_out(content, rng):
    first, last = sorted(rng.integers(len(content), size=2))
    return content[:first] + content[last:]


BYTES = (flipped_bits, flipped_bits, _truncated, _overwritten_number, _cut_out)
