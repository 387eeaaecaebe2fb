"""Measures a bundle's C file on each core."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mnist_edge import bundle
from mnist_edge import manifest as manifests
from mnist_edge.errors import InputError
from mnist_edge.manifest import ArtifactEntry, Manifest
from mnist_edge.runtimes.predictor import quantizer
from mnist_edge.safety import scratch

from .. import bundles
from ..bundles import Artifact
from ..worker import Worker, WorkerFailed
from . import build, emulate, tools
from .boards import Board
from .build import Program, Source
from .emulate import Run
from .records import FAILED, PASSED, TOO_LARGE, CoreResult, MicrocontrollerReport

C_VARIANT, TFLITE_VARIANT = "c-int8", "tflite-int8"
_HEADER_BYTES = 16  # before the images: their number


def measure(
    folder: Path,
    boards: Sequence[Board],
    limit: int = 200,
    optimization: str = "O2",
    seconds: int = 600,
    no_digit: bool = False,
) -> MicrocontrollerReport:
    """Measures the variant `c-int8` of a bundle.

    Args:
        folder: The bundle.
        boards: The boards to emulate.
        limit: Number of test images, evenly spaced.
        optimization: The compiler's flag, without its hyphen.
        seconds: Maximum time of one run of QEMU.
        no_digit: Whether a call also tells how much the image looks like a digit.

    Raises:
        InputError: A tool or a file is missing, or the bundle is damaged.
    """
    tools.require()
    (loaded,) = bundles.load_all([folder], limit)
    c_file, tflite = (_find(folder, loaded.artifacts, name) for name in (C_VARIANT, TFLITE_VARIANT))
    inputs, expected = _reference_bytes(tflite, loaded.images.astype(np.float32))
    _refuse_other_header(folder, loaded.manifest)
    source = build.read(c_file.path)
    if (source.input_bytes, source.output_bytes) != (inputs.shape[1], expected.shape[1]):
        raise InputError(
            f"{c_file.path} must have the input and the output of {tflite.path.name}. "
            f"Got: others. Run: python -m export {folder} --variants {C_VARIANT} {TFLITE_VARIANT}"
        )
    if no_digit and f"{source.prefix}_likeness(" not in source.header.read_text():
        raise InputError(
            f"--no-digit needs a model of handwritten digits. Got: {loaded.label}. Leave it out."
        )
    given = (source, inputs, expected, optimization, seconds, no_digit)
    return MicrocontrollerReport(
        bundle=loaded.label,
        c_sha256=bundle.sha256_file(c_file.path),
        tflite_sha256=tflite.record.sha256,
        compiler=tools.version(tools.GCC),
        optimization=optimization,
        emulator=tools.version(tools.QEMU),
        image_count=len(inputs),
        results=tuple(on_core(board, *given) for board in boards),
    )


def _find(folder: Path, artifacts: Sequence[Artifact], variant: str) -> Artifact:
    found = [one for one in artifacts if one.variant == variant]
    remedy = f"Run: python -m export {folder} --variants {C_VARIANT} {TFLITE_VARIANT}"
    if not found:
        raise InputError(f"{folder} must hold {variant}. Got: no such artifact. {remedy}")
    if cause := found[0].damage():
        raise InputError(f"{found[0].path}: {cause}. {remedy}")
    return found[0]


def _reference_bytes(tflite: Artifact, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the bytes that LiteRT's reference kernels take and give, each uint8 `[n, bytes]`."""
    entry = tflite.record
    assert isinstance(entry, ArtifactEntry)
    try:
        with Worker(tflite.path, 1, kernels="reference") as worker:
            outputs = worker.predict(images)
    except WorkerFailed as error:
        raise InputError(
            f"{tflite.path} must run in LiteRT. Got: {error}. Export it again."
        ) from error
    # A worker gives floats: of each integer another, from which it is found again.
    given, made = quantizer(entry.inputs[0])(images), quantizer(entry.outputs[0])(outputs)
    return given.reshape(len(images), -1).view(np.uint8), made.view(np.uint8)


def _refuse_other_header(folder: Path, manifest: Manifest) -> None:
    """Raises `InputError` if a file beside the C file differs from the manifest."""
    for entry in manifest.artifacts:
        for one in entry.companions if entry.variant == C_VARIANT else ():
            if cause := manifests.damage(folder / one.file, one):
                raise InputError(
                    f"{folder / one.file}: {cause}. "
                    f"Run: python -m export {folder} --variants {C_VARIANT}"
                )


def on_core(
    board: Board,
    source: Source,
    inputs: np.ndarray,
    expected: np.ndarray,
    optimization: str = "O2",
    seconds: int = 600,
    no_digit: bool = False,
) -> CoreResult:
    """Compiles, runs and measures a C file on one core.

    Args:
        board: The board.
        source: The C file.
        inputs: uint8 `[n, input_bytes]`, the bytes of the inputs.
        expected: uint8 `[n, output_bytes]`, the bytes of the outputs.
        optimization: The compiler's flag, without its hyphen.
        seconds: Maximum time of one run of QEMU.
        no_digit: As in `measure`.
    """
    result = CoreResult(
        core=board.core,
        machine=board.machine,
        status=FAILED,
        input_bytes=source.input_bytes,
        output_bytes=source.output_bytes,
        resolution=board.instructions_per_tick,
    )
    try:
        with scratch.folder() as place:
            program = build.build(board, source, place, optimization, no_digit=no_digit)
            result = dataclasses.replace(
                result,
                code_bytes=program.code,
                weights_bytes=program.weights,
                static_bytes=program.static,
                scratch_bytes=program.scratch,
            )
            if not program.fits:
                room = f"{board.flash[1]:,} bytes of flash and {board.ram[1]:,} of RAM"
                cause = f"{board.machine} has {room}"
                return dataclasses.replace(result, status=TOO_LARGE, causes=(cause,))
            runs = list(_runs(board, program, source, place, inputs, seconds))
            tested = build.build(board, source, place, optimization, True, no_digit)
            golden = emulate.emulate(
                *(board, place, inputs[:0], tested.images, source.output_bytes, seconds)
            )
    except tools.ToolFailed as error:
        return dataclasses.replace(result, causes=(str(error),))
    return _judged(result, runs, expected, golden.golden_differing)


def _runs(
    board: Board,
    program: Program,
    source: Source,
    place: Path,
    inputs: np.ndarray,
    seconds: int,
) -> Iterator[Run]:
    """Runs the images in as many batches as the flash behind the program requires."""
    room = sum(board.flash) - program.images - _HEADER_BYTES
    step = room // source.input_bytes
    if not step:
        raise tools.ToolFailed("the flash has no room for an image behind the program")
    for i in range(0, len(inputs), step):
        batch = inputs[i : i + step]
        yield emulate.emulate(board, place, batch, program.images, source.output_bytes, seconds)


def _judged(
    result: CoreResult, runs: Sequence[Run], expected: np.ndarray, golden_differing: int
) -> CoreResult:
    outputs = np.concatenate([one.outputs for one in runs])
    instructions = np.concatenate([one.instructions for one in runs])
    differing = int((outputs != expected).any(axis=1).sum())
    causes = []
    if differing:
        causes.append(f"{differing} of {len(expected)} images differ in a byte")
    if golden_differing:
        causes.append(f"{golden_differing} golden vectors differ in a byte")
    return dataclasses.replace(
        result,
        status=FAILED if causes else PASSED,
        causes=tuple(causes),
        stack_bytes=max(int(one.stack.max()) for one in runs),
        instructions=float(instructions.mean().round(1)),
        most_instructions=float(instructions.max()),
        golden_differing=golden_differing,
        equal_count=len(expected) - differing,
    )
