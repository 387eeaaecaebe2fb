"""`microcontroller.json`: what was measured, one result per core."""

import dataclasses
from collections.abc import Callable
from typing import Annotated

from mnist_edge import schema
from mnist_edge.schema import Count, Name, NotNegative, Positive, Sha256, Text, one_of

from .. import tables

FILE = "microcontroller.json"
PASSED, FAILED, TOO_LARGE = "passed", "FAILED", "does not fit"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CoreResult:
    """A model on one core; sizes in bytes, None if it could not be measured.

    Attributes:
        core: Name of the core, as after "Cortex-".
        machine: QEMU's machine that has it.
        status: "passed", "FAILED" or "does not fit".
        causes: Why it did not pass.
        code_bytes: Flash for code: the model's, and what it calls of the compiler's libraries.
        weights_bytes: Flash for the model's constants.
        static_bytes: RAM for the model's variables.
        scratch_bytes: RAM for the buffer that the caller gives.
        input_bytes: RAM for the input.
        output_bytes: RAM for the output.
        stack_bytes: RAM for the stack: the deepest of all calls, without interrupts.
        instructions: Per call, the mean of the test images. Not cycles.
        most_instructions: Those of the longest call.
        resolution: Instructions per tick of the timer that counts them.
        golden_differing: Golden vectors whose bytes differ.
        equal_count: Test images whose output bytes equal LiteRT's reference kernels'.
    """

    core: Name
    machine: Name
    status: Annotated[str, one_of(PASSED, FAILED, TOO_LARGE)]
    causes: tuple[Text, ...] = ()
    code_bytes: Count | None = None
    weights_bytes: Count | None = None
    static_bytes: Count | None = None
    scratch_bytes: Count | None = None
    input_bytes: Count | None = None
    output_bytes: Count | None = None
    stack_bytes: Count | None = None
    instructions: NotNegative | None = None
    most_instructions: NotNegative | None = None
    resolution: Positive
    golden_differing: Count | None = None
    equal_count: Count | None = None

    @property
    def flash_bytes(self) -> int | None:
        """Flash in all."""
        return _sum(self.code_bytes, self.weights_bytes)

    @property
    def ram_bytes(self) -> int | None:
        """RAM in all."""
        return _sum(
            *(self.static_bytes, self.scratch_bytes, self.input_bytes),
            *(self.output_bytes, self.stack_bytes),
        )


def _sum(*parts: int | None) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class MicrocontrollerReport(schema.Record):
    """Content of `microcontroller.json`.

    Attributes:
        bundle: Name of the bundle.
        c_sha256: SHA-256 of the C file.
        tflite_sha256: SHA-256 of the TFLite file whose bytes are expected.
        compiler: The compiler's version.
        optimization: Its flag, without the hyphen.
        emulator: QEMU's version.
        image_count: Number of test images.
        results: One per core.
    """

    bundle: Text
    c_sha256: Sha256
    tflite_sha256: Sha256
    compiler: Text
    optimization: Name
    emulator: Text
    image_count: Count
    results: tuple[CoreResult, ...]


def _column(heading: str, name: str) -> tuple[str, bool, Callable[[CoreResult], str]]:
    return heading, True, lambda one: tables.shown(getattr(one, name), ",")


_COLUMNS: tuple[tuple[str, bool, Callable[[CoreResult], str]], ...] = (
    ("core", False, lambda one: f"Cortex-{one.core}"),
    _column("flash", "flash_bytes"),
    _column("code", "code_bytes"),
    _column("weights", "weights_bytes"),
    _column("RAM", "ram_bytes"),
    _column("input", "input_bytes"),
    _column("output", "output_bytes"),
    _column("scratch", "scratch_bytes"),
    _column("static", "static_bytes"),
    _column("stack", "stack_bytes"),
    ("instructions", True, lambda one: tables.shown(one.instructions, ",.0f")),
    ("longest call", True, lambda one: tables.shown(one.most_instructions, ",.0f")),
    _column("equal images", "equal_count"),
    _column("golden vectors that differ", "golden_differing"),
    ("verdict", False, lambda one: one.status),
)


def table(report: MicrocontrollerReport) -> str:
    """Formats a report as a Markdown table and the lines that explain it."""
    headings = [(heading, is_numeric) for heading, is_numeric, _ in _COLUMNS]
    lines = [[cell(one) for *_, cell in _COLUMNS] for one in report.results]
    causes = [f"Cortex-{one.core}: {cause}" for one in report.results for cause in one.causes]
    return "\n".join([tables.layout(headings, lines), *causes, *_notes(report)])


def _notes(report: MicrocontrollerReport) -> list[str]:
    return [
        f"{report.bundle}: bytes of flash and RAM; {report.image_count} test images against "
        "LiteRT's reference kernels.",
        "Instructions are not cycles: a core takes one or more cycles per instruction, and waits "
        "for slow flash.",
        f"{report.compiler}, -{report.optimization}, floats in software; {report.emulator}, "
        "-icount shift=0.",
    ]
