"""Compare artifacts of a bundle with its Keras model, layer by layer."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mnist_edge import cli, manifest, runtimes
from mnist_edge.errors import InputError, did_you_mean
from mnist_edge.safety.isolated import Allowance, Process, WorkerFailed

from .. import bundles
from ..bundles import Artifact, Bundle
from . import child, falls
from .records import Compared, LayerReport

# Keras's layers are called one by one, and every tensor is kept.
_ALLOWANCE = Allowance(timeout_seconds=600, memory_limit_mb=8000)
_LIMIT = 32
# More layers than this are listed without pictures, for the page's size.
_MOST_PICTURES = 60
_HEAD_BYTES = 1000


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A report, and the pictures of its layers' worst channels.

    Attributes:
        report: The report.
        pictures: By position of the layer: float32 `[2, height, width]`, Keras's values and the
            artifact's for the first image. Only of layers whose output is a picture.
    """

    report: LayerReport
    pictures: dict[int, np.ndarray]


def compare_layers(
    folder: Path | str,
    variants: Sequence[str] = (),
    limit: int = _LIMIT,
    allowance: Allowance = _ALLOWANCE,
) -> tuple[LayerReport, ...]:
    """Compares artifacts with the Keras model, layer by layer.

        (report,) = mnist_edge.compare_layers("artifacts/mine", ["tflite-int8"])
        report.fall, [(one.layer, one.snr_db) for one in report.layers]

    Both models run in an isolated subprocess. In a script, call it below
    `if __name__ == "__main__":`.

    Args:
        folder: A bundle written by `export_model`.
        variants: Variants of the bundle, or paths of other `.tflite` and `.onnx` files of the same
            model; none for all of the bundle's.
        limit: Number of test images.
        allowance: Limits of the subprocess.

    Returns:
        One report per artifact. One that could not be compared has a `failure`.

    Raises:
        InputError: The bundle or a variant can't be used.
    """
    return tuple(one.report for one in compare(Path(folder), variants, limit, allowance))


def compare(
    folder: Path,
    variants: Sequence[str] = (),
    limit: int = _LIMIT,
    allowance: Allowance = _ALLOWANCE,
) -> Iterator[Drawn]:
    """Like `compare_layers`, one by one and with pictures."""
    if limit < 1:
        raise InputError(f"--limit must be 1 or more. Got: {limit}.")
    (loaded,) = bundles.load_all([folder])
    if any(len(entry.inputs) > 1 for entry in loaded.manifest.artifacts):
        raise InputError(
            f"{folder} must hold a model with one input. Got: several. "
            f"Run: python -m benchmarks {folder}"
        )
    keras, *exported = loaded.artifacts
    chosen = [_find(exported, name) for name in variants] if variants else exported
    for one in (keras, *chosen):
        try:
            runtimes.require(one.path)
        except runtimes.RuntimeMissing as error:
            raise InputError(f"{error}. Install 'mnist-edge[export,runtimes]'.") from error
    if cause := keras.damage():
        raise InputError(f"{keras.path}: {cause}. Run: python -m export {folder}")
    images = loaded.images[:limit].astype(np.float32)
    with contextlib.ExitStack() as stack:
        process: Process | None = None
        for one in chosen:
            if process is None or not process.is_alive():  # an artifact may have crashed it
                process = stack.enter_context(
                    Process(child.REQUESTS, allowance, (InputError,), child.State)
                )
                try:
                    process.ask("start", str(keras.path))
                except WorkerFailed as error:
                    raise InputError(f"{keras.path} must run. Got: {error}.") from error
            yield _compare_one(process, loaded, one, images)


def _find(exported: Sequence[Artifact], name: str) -> Artifact:
    """Returns the artifact of a variant, or that of a path."""
    known = {one.variant: one for one in exported}
    if name in known:
        return known[name]
    path = Path(name)
    if runtimes.is_artifact(path) and path.suffix != ".keras" and path.is_file():
        return Artifact(path.stem, path.suffix[1:], "", path, manifest.file_record(path))
    raise InputError(
        f"--variant must be one of {', '.join(known) or 'none'}, or the path of a .tflite or .onnx "
        f"file. Got: {cli.one_line(name, 60)}. {did_you_mean(name, known)}".rstrip()
    )


def _compare_one(process: Process, loaded: Bundle, one: Artifact, images: np.ndarray) -> Drawn:
    report = LayerReport(loaded.label, one.variant, one.precision, "", len(images))
    if cause := one.damage():
        return Drawn(dataclasses.replace(report, failure=cause), {})
    try:
        found = process.ask_for(Compared, "compare", str(one.path), images)
        wanted = [i for i, each in enumerate(found.layers) if _is_picture(each.shape)]
        pictures = {i: _picture(process, i) for i in wanted[:_MOST_PICTURES]}
    except (WorkerFailed, InputError) as error:
        return Drawn(dataclasses.replace(report, failure=cli.one_line(error)), {})
    compared = dataclasses.replace(
        report,
        runtime=found.runtime,
        layers=found.layers,
        unmatched=found.unmatched,
        fall=falls.first(found.layers, one.precision),
    )
    return Drawn(compared, pictures)


def _is_picture(shape: Sequence[int]) -> bool:
    return len(shape) == 3 and min(shape[:2]) > 1


def _picture(process: Process, i: int) -> np.ndarray:
    most = child.MOST_PIXELS
    found = process.ask("pictures", i, most_bytes=2 * most * most * 4 + _HEAD_BYTES)
    if getattr(found, "dtype", None) != np.float32 or found.ndim != 3 or len(found) != 2:
        raise WorkerFailed("sent an invalid picture")
    return found
