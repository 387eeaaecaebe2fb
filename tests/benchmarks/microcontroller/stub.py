"""A model in C, written by hand: sums of pixels times weights, modulo 256."""

import json

import numpy as np

from benchmarks.microcontroller import build
from mnist_edge.artifact_metadata import C_COMMENT

INPUT, CLASSES, WEIGHTS = 784, 10, 780
HEADER = """#include <stdint.h>
#define STUB_SCRATCH_ALIGNMENT 16
#define STUB_SCRATCH_BYTES {scratch}
void stub_predict_quantized(const uint8_t *input, uint8_t *output, void *scratch);
int stub_self_test(void *scratch);
"""
CODE = """#include "c-int8.h"
static const uint8_t weights[{count}] = {{{weights}}};
{more}
void stub_predict_quantized(const uint8_t *input, uint8_t *output, void *scratch) {{
    volatile uint8_t deep[{stack}];
    uint8_t *sums = scratch;
    for (int i = 0; i < 10; i++) sums[i] = 0;
    for (int i = 0; i < {stack}; i++) deep[i] = (uint8_t)i;
    for (int i = 0; i < {count}; i++) sums[i % 10] += (uint8_t)(weights[i] * input[i]);
    for (int i = 0; i < 10; i++) output[i] = (uint8_t)(sums[i] + deep[0]);
    {body}
}}
#ifdef STUB_SELF_TEST
int stub_self_test(void *scratch) {{ (void)scratch; return {golden}; }}
#endif
"""


def images(count=20):
    return np.random.default_rng(0).integers(0, 256, (count, INPUT), dtype=np.uint8)


def weights():
    return np.random.default_rng(1).integers(0, 256, WEIGHTS, dtype=np.uint8)


def answers(inputs):
    products = inputs[:, :WEIGHTS].astype(int) * weights()
    return products.reshape(len(inputs), -1, CLASSES).sum(1).astype(np.uint8)


def write(folder, scratch=16, stack=100, golden=0, more="", body=""):
    """Writes the model; returns its source."""
    numbers = ", ".join(map(str, weights()))
    text = CODE.format(
        count=WEIGHTS, weights=numbers, stack=stack, golden=golden, more=more, body=body
    )
    (folder / "c-int8.c").write_text(comment() + text)
    (folder / "c-int8.h").write_text(HEADER.format(scratch=scratch))
    return build.read(folder / "c-int8.c")


def comment(**changes):
    """The comment that a C file begins with."""
    given, output = (
        {"name": name, "shape": [1, size], "dtype": "uint8", "scale": 1.0, "zero_point": 0}
        for name, size in (("image", INPUT), ("probabilities", CLASSES))
    )
    sizes = {"scratch_bytes": 16, "lanes_bytes": 16}
    about = {"prefix": "stub", "input": given, "output": output, **sizes} | changes
    return json.dumps({"c": about}).join(C_COMMENT)
