"""Does this device compute what the exporting machine computed?

    python -m benchmarks.selftest artifacts/edge

runs each artifact of a bundle on ten golden images, one per class, and compares with what
it gave where it was exported. Needs NumPy and a runtime, `ai-edge-litert` or
`onnxruntime`; no Keras, no TensorFlow, no test set. Exits with 1 where a device differs.
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

# Largest probability difference from the exporting machine. Floats differ between
# processors by rounding alone. Integer kernels may round a half up or down, which is a
# step of some scale in every layer: a few hundredths at the output.
_TOLERANCES = {"float32": 1e-4, "float16": 1e-2}
_INTEGER_TOLERANCE = 0.05
# Ten images; a device is slow to start.
_ALLOWANCE = Allowance(timeout_seconds=60)


def check(artifact: Artifact, images: np.ndarray, expected: np.ndarray) -> tuple[bool | None, str]:
    """Runs one artifact on the golden images.

    Args:
        artifact: What to run.
        images: float32 `[n, ...]`, as the model takes them.
        expected: float32 `[n, classes]`, what the artifact gave where it was exported.

    Returns:
        `(passed, words)`: whether the device computes the same, and what was seen. None
        for `passed` where the runtime is not installed.
    """
    if cause := artifact.damage():
        return False, f"{cause}; copy or export it again"
    try:
        runtimes.require(artifact.path)
        with Worker(artifact.path, 1, _ALLOWANCE) as one:
            computed = one.predict(images, most_classes=expected.shape[1])
    except runtimes.RuntimeMissing as error:
        return None, str(error)
    except WorkerFailed as error:
        return False, str(error)
    if computed.shape != expected.shape:
        return False, f"gives {list(computed.shape)} instead of {list(expected.shape)}"
    difference = float(np.abs(computed - expected).max())
    same = np.array_equal(computed.argmax(1), expected.argmax(1))
    tolerance = _TOLERANCES.get(artifact.precision, _INTEGER_TOLERANCE)
    return (
        bool(same and difference <= tolerance),  # NaN fails
        f"largest difference {difference:.1e}, at most {tolerance:g} allowed, "
        f"{'same' if same else 'OTHER'} classes, {one.opened.runtime}",
    )


def _load_golden(folder: Path, read: Manifest, remedy: str) -> dict[str, np.ndarray]:
    """Images and, by variant, what each artifact gave; all float32."""
    path = folder / read.golden.file
    if manifest.damage(path, read.golden):
        raise InputError(f"{path} must be the file that the manifest describes. {remedy}")
    names = ["images", *(entry.variant for entry in read.artifacts)]
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
    parser.add_argument("bundle", type=Path, help="folder that python -m export wrote")
    folder = parser.parse_args(argv).bundle
    remedy = f"Copy the whole bundle, or run: python -m export {folder}"
    read = manifest.read(folder, remedy)
    golden = _load_golden(folder, read, remedy)
    _, *exported = bundles.artifacts(folder, read)
    outcomes = []
    for artifact in exported:
        passed, words = check(artifact, golden["images"], golden[artifact.variant])
        outcomes.append(passed)
        state = {True: "ok", False: "FAILED", None: "skipped"}[passed]
        print(f"{artifact.variant:<20} {state:<8} {cli.printable(words)}")
    tested = [passed for passed in outcomes if passed is not None]
    if not tested:
        print("nothing was tested: install ai-edge-litert or onnxruntime")
        return cli.GATE_FAILED
    print(f"{sum(tested)} of {len(tested)} artifacts compute what the exporting machine computed")
    return cli.OK if all(tested) else cli.GATE_FAILED


if __name__ == "__main__":
    sys.exit(main())
