"""Write a program as one C99 source."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mnist_edge.runtimes import Predictor

from . import kernels, likeness, plan
from .graph import Tensor
from .packing import WORKS, Packed
from .steps import Constant, Operand, Program, Step
from .text import array, literal

C_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int32": "int32_t", "float32": "float"}
# Types of the numbers in a layer, smallest first, and their bytes.
_SIZES = {"uint8_t": 1, "int16_t": 2, "int32_t": 4}
# Between these the header is found, which is made from the source.
INTERFACE = ("/* interface */", "/* end of interface */")


@dataclasses.dataclass(frozen=True)
class Golden:
    """Inputs and the bytes that the reference kernels make of them, for the self-test."""

    inputs: np.ndarray
    outputs: np.ndarray


def identifier(name: str) -> str:
    """Returns a model's name as a C identifier in lower case."""
    plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower()[:40] or "model"
    return f"model_{plain}" if plain[0].isdigit() else plain


def write(
    program: Program, name: str, head: str, golden: Golden | None = None, reads_digits: bool = False
) -> str:
    """Returns the source.

    Args:
        program: What it computes.
        name: The prefix of its functions.
        head: The comments that it starts with.
        golden: What its self-test compares with.
        reads_digits: Whether a macro adds the likeness to a digit.
    """
    planned, writer = plan.plan(program), _Writer(program)
    calls = [writer.call(i, step, planned) for i, step in enumerate(program.steps)]
    names = [step.kernel for step in program.steps]
    needed = kernels.closure(dict.fromkeys(names))
    parts = [
        head,
        "#include <stdint.h>\n#include <string.h>",
        _interface(program, name, planned, reads_digits),
        *(f"typedef {kind} {one}; /* of all layers */" for one, kind in writer.numbers.items()),
        *(kernels.source(one)[1].rstrip() for one in needed),
        *writer.constants,
        _functions(program, name, planned, calls, writer),
        likeness.source(name) if reads_digits else "",
        _self_test(program, name, golden, reads_digits) if golden else "",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def vectors(
    program: Program, opened: Predictor, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns images as the source takes them, and the bytes that an artifact makes of them."""
    shape = program.input_tensor.shape
    given = opened.encode(images).reshape(len(images), *shape)
    return given, np.stack([opened.call(one) for one in given])


def constant_bytes(program: Program) -> int:
    """Returns the bytes of all constants: weights, factors, tables and layers."""
    writer, planned = _Writer(program), plan.plan(program)
    for i, step in enumerate(program.steps):
        writer.call(i, step, planned)
    return writer.bytes


class _Writer:
    """Writes constants, equal ones once, and the calls that use them."""

    def __init__(self, program: Program) -> None:
        self.constants: list[str] = []
        self.bytes = 0
        self.numbers = _numbers(program)
        self._names: dict[tuple[str, bytes, bool], str] = {}

    def call(self, i: int, step: Step, planned: plan.Plan) -> str:
        """Returns the call of a step."""
        struct = f"{step.kernel}_layer"
        values = self._initializer(struct, step.kernel, step.layer, i)
        label = comment(step.comment)[:80]
        self.constants.append(f"/* {label} */\nstatic const {struct} layer_{i} = {values};")
        operands = [self.operand(place, planned) for place in (*step.reads, step.writes)]
        operands += [f"scratch + {planned.work}"] if step.kernel in WORKS else []
        return f"    {step.kernel}({', '.join([f'&layer_{i}', *operands])}); /* {label} */"

    def operand(self, place: Operand, planned: plan.Plan) -> str:
        """Returns an operand as a pointer to bytes."""
        if isinstance(place, Constant):
            array = place.values
            name = self._array("uint8_t", np.frombuffer(array.tobytes(), np.uint8), "constant")
            return name
        return f"scratch + {planned.offsets[place]}" if place in planned.offsets else "input"

    def _initializer(self, struct: str, kernel: str, layer: Mapping[str, Any], i: int) -> str:
        kinds = kernels.fields(struct, kernel)
        if set(kinds) != set(layer):
            raise KeyError(f"{struct} has {sorted(kinds)}, the layer {sorted(layer)}")
        words, laned = [], isinstance(layer.get("weights"), Packed)
        for field, kind in kinds.items():
            value = layer[field]
            if isinstance(value, Packed):
                self.bytes += 4 + value.values.nbytes
                name = f"{field}_{i}"
                self.constants.append(value.definition(name))
                words.append(f"(const int8_t *){name}")
            elif isinstance(value, np.ndarray):
                self.bytes += 4
                element = kind.removeprefix("const ").removesuffix(" *")
                words.append(self._array(element, value, field, laned))
            elif isinstance(value, Mapping):
                words.append(self._initializer(kind, kernel, value, i))
            elif isinstance(value, tuple):
                self.bytes += 4 * len(value)
                words.append("{" + ", ".join(map(str, value)) + "}")
            else:
                self.bytes += _SIZES.get(self.numbers.get(kind, kind), 4)
                words.append(literal(value))
        return "{" + ", ".join(words) + "}"

    def _array(self, kind: str, values: np.ndarray, field: str, laned: bool = False) -> str:
        key = (kind, values.tobytes(), laned)
        if key not in self._names:
            name = self._names[key] = f"{field}_s{len(self._names)}"
            self.bytes += values.nbytes
            size = f"LANED({values.size})" if laned else ""
            self.constants.append(array(kind, name, values, size))
        return self._names[key]


def _numbers(program: Program) -> dict[str, str]:
    """Returns the smallest C type for the fields of each type `KERNEL_number`."""
    found: dict[str, list[int]] = {}
    for step in program.steps:
        kind = f"{step.kernel}_number"
        fields = kernels.fields(f"{step.kernel}_layer", step.kernel)
        for name, value in step.layer.items():
            if fields.get(name) == kind and isinstance(value, int):
                found.setdefault(kind, []).append(value)
    return {kind: _smallest(min(values), max(values)) for kind, values in found.items()}


def _smallest(low: int, high: int) -> str:
    limits = {kind: np.iinfo(kind.removesuffix("_t")) for kind in _SIZES}
    return next(kind for kind, own in limits.items() if own.min <= low and high <= own.max)


def comment(text: str) -> str:
    """Returns text that can't end a comment: a file's names may hold anything."""
    return re.sub(r"[^\w .,:;=+()*\[\]-]", "_", text, flags=re.ASCII)


def _interface(program: Program, name: str, planned: plan.Plan, reads_digits: bool) -> str:
    upper, given, out = name.upper(), program.input_tensor, program.output_tensor
    kind, raw = C_TYPES[given.dtype], C_TYPES[out.dtype]
    more = likeness.interface(name) if reads_digits else ""
    return f"""{INTERFACE[0]}
#define {upper}_INPUT_SIZE {given.size} /* elements of the input */
#define {upper}_CLASSES {out.size}
#define {upper}_LOGITS {program.logits_tensor.size}
/* Bytes of memory that the caller gives: more where there may be kernels with vectors. */
#if defined(__x86_64__) || defined(__i386__) || defined(__aarch64__) || defined(__wasm__)
#define {upper}_SCRATCH_BYTES {planned.lanes_bytes}
#else
#define {upper}_SCRATCH_BYTES {planned.bytes}
#endif
#define {upper}_SCRATCH_ALIGNMENT {plan.ALIGNMENT} /* its address is a multiple of this */

#ifdef __cplusplus
extern "C" {{
#endif

/* Probabilities of the classes: the output, dequantized. */
void {name}_predict(const {kind} *input, float *probabilities, void *scratch);
/* What goes into the last softmax or sigmoid, dequantized. */
void {name}_logits(const {kind} *input, float *logits, void *scratch);
/* The output as it is in the TFLite file. */
void {name}_predict_quantized(const {kind} *input, {raw} *output, void *scratch);{more}
#ifdef {upper}_SELF_TEST
/* Returns the number of golden vectors of which a byte of the output differs. */
int {name}_self_test(void *scratch);
#endif

#ifdef __cplusplus
}}
#endif
{INTERFACE[1]}"""


def _functions(
    program: Program, name: str, planned: plan.Plan, calls: Sequence[str], writer: _Writer
) -> str:
    given, out, logits = program.input_tensor, program.output_tensor, program.logits_tensor
    kind, raw = C_TYPES[given.dtype], C_TYPES[out.dtype]
    output, before = (writer.operand(p, planned) for p in (program.output, program.logits))
    body = "\n".join(calls)
    start = """const uint8_t *input = (const uint8_t *)pixels;
    uint8_t *scratch = (uint8_t *)memory;"""
    return f"""static void run(const uint8_t *input, uint8_t *scratch)
{{
{body}
}}

void {name}_predict(const {kind} *pixels, float *probabilities, void *memory)
{{
    {start}
    run(input, scratch);
{_floats(out, output, "probabilities")}
}}

void {name}_logits(const {kind} *pixels, float *logits, void *memory)
{{
    {start}
    run(input, scratch);
{_floats(logits, before, "logits")}
}}

void {name}_predict_quantized(const {kind} *pixels, {raw} *output, void *memory)
{{
    {start}
    run(input, scratch);
{_bytes(out, output)}
}}"""


def _floats(tensor: Tensor, place: str, target: str) -> str:
    if not tensor.is_byte:
        return f"    memcpy({target}, {place}, {tensor.bytes});"
    return f"""    for (int32_t i = 0; i < {tensor.size}; i++) {{
        {target}[i] = (float)(({place})[i] - {tensor.zero}) * {literal(float(tensor.scale))};
    }}"""


def _bytes(tensor: Tensor, place: str) -> str:
    if tensor.dtype != "int8":
        return f"    memcpy(output, {place}, {tensor.bytes});"
    return f"""    for (int32_t i = 0; i < {tensor.size}; i++) {{
        output[i] = (int8_t)(({place})[i] - 128);
    }}"""


def _self_test(program: Program, name: str, golden: Golden, reads_digits: bool) -> str:
    given, out = program.input_tensor, program.output_tensor
    kind, raw = C_TYPES[given.dtype], C_TYPES[out.dtype]
    count = len(golden.inputs)
    values, judged = likeness.self_test(name, golden.inputs) if reads_digits else ("", "")
    return f"""#ifdef {name.upper()}_SELF_TEST
{array(kind, "golden_inputs", golden.inputs)}

{array(raw, "golden_outputs", golden.outputs)}{values}

int {name}_self_test(void *memory)
{{
    int differing = 0;
    for (int32_t i = 0; i < {count}; i++) {{
        {raw} output[{out.size}];
        {name}_predict_quantized(golden_inputs + i * {given.size}, output, memory);
        differing += memcmp(output, golden_outputs + i * {out.size}, sizeof output) != 0;
    }}{judged}
    return differing;
}}
#endif"""
