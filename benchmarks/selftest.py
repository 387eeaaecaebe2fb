"""Check that this device computes the same results as the exporting machine.

    python -m benchmarks.selftest artifacts/edge

runs each artifact of a bundle on ten golden images, one per class, and compares its outputs
with those recorded at export. Needs NumPy and a runtime, `ai-edge-litert` or `onnxruntime`;
no Keras, TensorFlow or test set. Exits with status 1 if the outputs differ.
"""

import sys
from pathlib import Path

import numpy as np

from mnist_edge import cli, manifest, runtimes
from mnist_edge.data import npz
from mnist_edge.errors import InputError
from mnist_edge.manifest import Manifest

from . import bundles
from .bundles import Artifact
from .worker import Allowance, Worker, WorkerFailed

# Largest probability difference from the exporting machine. Float results differ between
# processors by rounding alone. Integer kernels may round halves up or down, which shifts a
# layer's output by one quantization step: a few hundredths at the model's output.
_TOLERANCES = {"float32": 1e-4, "float16": 1e-2}
_INTEGER_TOLERANCE = 0.05
# For ten images; slow devices take long to start.
_ALLOWANCE = Allowance(timeout_seconds=60)


def check(artifact: Artifact, images: np.ndarray, expected: np.ndarray) -> tuple[bool | None, str]:
    """Runs one artifact on the golden images.

    Args:
        artifact: The artifact.
        images: float32 `[n, ...]`, in the model's input shape.
        expected: float32 `[n, classes]`, the outputs recorded at export.

    Returns:
        `(passed, details)`: whether the outputs match, and a line of details. `passed` is None
        if the runtime is not installed.
    """
    if cause := artifact.damage():
        return False, f"{cause}; copy or export it again"
    try:
        runtimes.require(artifact.path)
        with Worker(artifact.path, 1, _ALLOWANCE) as worker:
            computed = worker.predict(images, most_classes=expected.shape[1])
    except runtimes.RuntimeMissing as error:
        return None, str(error)
    except WorkerFailed as error:
        return False, str(error)
    if computed.shape != expected.shape:
        return False, f"returned {list(computed.shape)} instead of {list(expected.shape)}"
    difference = float(np.abs(computed - expected).max())
    same = np.array_equal(computed.argmax(1), expected.argmax(1))
    tolerance = _TOLERANCES.get(artifact.precision, _INTEGER_TOLERANCE)
    return (
        bool(same and difference <= tolerance),  # NaN fails
        f"largest difference {difference:.1e}, at most {tolerance:g} allowed, "
        f"{'same' if same else 'DIFFERENT'} classes, {worker.opened.runtime}",
    )


def _load_golden(folder: Path, loaded: Manifest, remedy: str) -> dict[str, np.ndarray]:
    """Loads the golden images and, by variant, the outputs recorded at export; all float32."""
    path = folder / loaded.golden.file
    if manifest.damage(path, loaded.golden):
        raise InputError(f"{path} must be the file that the manifest describes. {remedy}")
    names = ["images", *(entry.variant for entry in loaded.artifacts)]
    golden = npz.read(path, names, manifest.MOST_GOLDEN_BYTES, remedy)
    for name, array in golden.items():
        count = len(golden["images"]) if golden["images"].ndim else 0
        if array.dtype != np.float32 or array.ndim < 2 or not count or len(array) != count:
            raise InputError(
                f"{path}: {name} must be float32, one row per image. "
                f"Got: {array.dtype} {list(array.shape)}. {remedy}"
            )
    return golden


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Tests the bundle in `argv`; returns the exit status."""
    parser = cli.parser(__doc__)
    parser.add_argument("bundle", type=Path, help="bundle folder written by python -m export")
    folder = parser.parse_args(argv).bundle
    remedy = f"Copy the whole bundle, or run: python -m export {folder}"
    loaded = manifest.read(folder, remedy)
    golden = _load_golden(folder, loaded, remedy)
    _, *exported = bundles.artifacts(folder, loaded)
    outcomes = []
    for artifact in exported:
        passed, details = check(artifact, golden["images"], golden[artifact.variant])
        outcomes.append(passed)
        state = {True: "ok", False: "FAILED", None: "skipped"}[passed]
        print(f"{artifact.variant:<20} {state:<8} {cli.printable(details)}")
    tested = [passed for passed in outcomes if passed is not None]
    if not tested:
        print("nothing was tested: install ai-edge-litert or onnxruntime")
        return cli.GATE_FAILED
    print(f"{sum(tested)} of {len(tested)} artifacts compute what the exporting machine computed")
    return cli.OK if all(tested) else cli.GATE_FAILED


if __name__ == "__main__":
    sys.exit(main())
