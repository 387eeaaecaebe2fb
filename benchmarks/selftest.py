"""Does this device compute what the exporting machine computed?

    python -m benchmarks.selftest artifacts/edge

runs each artefact of a bundle on ten golden images, one a class, and compares with what
it gave where it was exported. Needs NumPy and a runtime, `ai-edge-litert` or
`onnxruntime`; no Keras, no TensorFlow, no test set. Exits with 1 where a device differs.
"""

import sys
from pathlib import Path

import numpy as np

from benchmarks import runtimes
from mnist_edge import bundle, cli
from mnist_edge.cli import InputError

# Largest probability difference from the exporting machine. Floats differ between
# processors by rounding alone. Integer kernels may round a half up or down, which is a
# step of some scale in every layer: a few hundredths at the output.
_TOLERANCES = {"float32": 1e-4, "float16": 1e-2}
_INTEGER_TOLERANCE = 0.05


def check(folder, entry, images, expected):
    """Runs one artefact on the golden images.

    Args:
        folder: The bundle.
        entry: The manifest's entry of the artefact.
        images: float32 `[n, ...]`, as the model takes them.
        expected: float32 `[n, classes]`, what the artefact gave where it was exported.

    Returns:
        `(passed, words)`: whether the device computes the same, and what was seen. None
        for `passed` where the runtime is not installed.
    """
    path = folder / entry["file"]
    if not path.is_file():
        return False, "missing"
    if bundle.sha256_file(path) != entry["sha256"]:
        return False, "not the file that the manifest describes; copy or export it again"
    try:
        opened = runtimes.open_artifact(path, threads=1)
        computed = runtimes.predict(opened, images)
    except runtimes.RuntimeMissing as error:
        return None, str(error)
    except Exception as error:  # whatever a runtime raises is the answer
        return False, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    difference = float(np.abs(computed - expected).max())
    same = np.array_equal(computed.argmax(1), expected.argmax(1))
    tolerance = _TOLERANCES.get(entry["precision"], _INTEGER_TOLERANCE)
    return (
        bool(same and difference <= tolerance),  # NaN fails
        f"largest difference {difference:.1e}, at most {tolerance:g} allowed, "
        f"{'same' if same else 'OTHER'} classes, {opened.runtime}",
    )


def _load_golden(folder, manifest, remedy):
    path = folder / manifest["golden"]["file"]
    if not path.is_file() or bundle.sha256_file(path) != manifest["golden"]["sha256"]:
        raise InputError(f"{path} must be the file that the manifest describes. {remedy}")
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


@cli.command
def main(argv=None):
    """Tests the bundle in `argv`; returns the exit status."""
    parser = cli.parser(__doc__)
    parser.add_argument("bundle", type=Path, help="folder that python -m export wrote")
    folder = parser.parse_args(argv).bundle
    remedy = f"Copy the whole bundle, or run: python -m export {folder}"
    manifest = bundle.read_json(folder / bundle.MANIFEST, ("artifacts", "golden"), remedy)
    golden = _load_golden(folder, manifest, remedy)
    outcomes = []
    for entry in manifest["artifacts"]:
        name = entry["variant"]
        with cli.native_logs_held():
            passed, words = check(folder, entry, golden["images"], golden[name])
        outcomes.append(passed)
        state = {True: "ok", False: "FAILED", None: "skipped"}[passed]
        print(f"{name:<20} {state:<8} {words}")
    tested = [passed for passed in outcomes if passed is not None]
    if not tested:
        print("nothing was tested: install ai-edge-litert or onnxruntime")
        return cli.GATE_BREACHED
    print(f"{sum(tested)} of {len(tested)} artefacts compute what the exporting machine computed")
    return cli.OK if all(tested) else cli.GATE_BREACHED


if __name__ == "__main__":
    sys.exit(main())
