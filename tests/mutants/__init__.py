"""Artifacts as a hostile or careless hand would change them: seeded, each reproducible.

    for name, content in mutants("tflite", contents, count=300, seed=0): ...

A mutant is one change of the file's structure, at a place and to a value drawn by seed; one
in six is of its bytes instead. `CHANGES` of each format lists them, functions that take what was
parsed and a generator, and change it in place.
"""

import numpy as np

from tests.mutants import drawn, onnx, tflite

_FORMATS = {"tflite": tflite, "onnx": onnx}

_BYTE_SHARE = 1 / 6


def mutants(format, contents, count, seed=0, start=0):
    """Yields mutants.

    Args:
        format: "tflite" or "onnx".
        contents: Files' bytes by name of the variant; mutated in turn.
        count: How many.
        seed: The same seed gives the same mutants, whatever their count.
        start: Number of the first.

    Yields:
        `(name, content)`: "17 tflite-int8 tensor shape", and bytes that no file had.
    """
    module = _FORMATS[format]
    parse, pack = module.parse, module.pack
    variants = sorted(contents)
    plains = {variant: pack(parse(contents[variant])) for variant in variants}
    for number in range(start, start + count):
        rng = np.random.default_rng([seed, number])
        variant = variants[number % len(variants)]
        plain = plains[variant]
        while True:
            if rng.random() < _BYTE_SHARE:
                change = drawn.pick(rng, drawn.BYTES)
                content = change(plain, rng)
            else:
                model, change = parse(plain), drawn.pick(rng, module.CHANGES)
                try:
                    change(model, rng)
                    content = pack(model)
                except (IndexError, TypeError, AttributeError, ValueError):
                    continue  # there is no such thing in this file, or no way to write it
            if content != plain:
                break
        yield f"{number} {variant} {change.__name__.strip('_').replace('_', ' ')}", content
