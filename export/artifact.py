"""Make one artifact and judge it: convert, contract, audit, forward pass, compare."""

import dataclasses
import time
from pathlib import Path

import numpy as np

import mnist_edge
from mnist_edge import bundle, cli, gate, runtimes

from . import audit, calibration, fallback, inspection, metadata, unsupported
from .onnx import convert as onnx_convert
from .tflite import convert as tflite_convert
from .tflite import optimize

_FORMATS = {"tflite": tflite_convert, "onnx": onnx_convert}
_LEAN = {"tflite": optimize.rewrite, "onnx": bytes}


@dataclasses.dataclass(frozen=True)
class Made:
    """An artifact that was made, and what is known of it.

    Attributes:
        variant: Its `Variant`.
        content: Its bytes, contract included.
        entry: What the manifest holds of it, a dict.
        golden: float32 `[classes, classes]`, its probabilities on the golden images.
        agreement: Share of the check images on which it agrees with the model.
        breaches: list of str, why it must not be written; empty where it may.
        remarks: list of str, what to know of that verdict.
        seconds: What it took.
    """

    variant: object
    content: bytes
    entry: dict
    golden: np.ndarray
    agreement: float
    breaches: list
    remarks: list
    seconds: float


class Maker:
    """Makes and judges the artifacts of one model; what they share is made once.

    Args:
        source: A `source.Source`.
        settings: An `ExportSettings`.
        golden_images: float32 `[n, ...]`, one a class.
        folder: Where the intermediate files go.
    """

    def __init__(self, source, settings, golden_images, folder):
        self._source, self._settings = source, settings
        self._golden_images, self._folder = golden_images, folder
        self._images, self._labels = source.check_set()
        self._expected = source.predict(self._images)
        self._calibration = self._choose(settings.calibration_count)
        self._prepared = {}

    def make(self, variant):
        """Makes a variant.

        Args:
            variant: A `Variant`.

        Returns:
            A `Made`.

        Raises:
            InputError: The model can't be converted; the line names the layer.
        """
        prepared = self._prepare(variant.format)
        convert = _FORMATS[variant.format].convert
        used = self._calibration
        return self._judge(variant, lambda: convert(prepared, variant, used), used)

    def rescue(self, variant):
        """Tries to rescue a quantized variant that breached the gate.

        Args:
            variant: A `Variant`.

        Yields:
            `(attempt, made)`: a `rescue.Attempt` and the `Made` that it gave, None where
            the step did not apply. Ends at the first that passes.
        """
        attempts = fallback.attempts(
            variant, self._prepare(variant.format), self._calibration, self._choose, self._error
        )
        while True:
            with cli.native_logs_held():  # the layers are ranked between two attempts
                attempt = next(attempts, None)
            if not attempt:
                return
            made = None
            if attempt.variant:
                made = self._judge(attempt.variant, attempt.make, attempt.calibration)
            yield attempt, made
            if made and not made.breaches:
                return

    def _choose(self, count):
        source = self._source
        return calibration.choose(
            source.dataset, source.shape, source.split_seed, count, self._settings.calibration_seed
        )

    def _prepare(self, format):
        if format not in self._prepared:
            settings, model = self._settings, self._source.model
            prepare = _FORMATS[format].prepare
            with cli.native_logs_held(), unsupported.refusing(model, format, prepare):
                self._prepared[format] = prepare(
                    model, settings.batch, settings.opset, self._folder
                )
        return self._prepared[format]

    def _judge(self, variant, convert, used):
        started = time.perf_counter()
        model, prepare = self._source.model, _FORMATS[variant.format].prepare
        with cli.native_logs_held(), unsupported.refusing(model, variant.format, prepare):
            converted = convert()
            slim = _LEAN[variant.format](converted)
            content = self._with_contract(variant, slim)
            path = Path(self._folder) / f"judged-{variant.file}"
            path.write_bytes(content)
            read = inspection.read(path)
            opened = runtimes.open_artifact(path)
            computed, golden = map(opened.predict, (self._images, self._golden_images))
            before = computed if slim is converted else self._run(variant, converted)
        entry = {
            "variant": variant.name,
            "format": variant.format,
            "precision": variant.precision,
            "file": variant.file,
            "size_bytes": len(content),
            "size_shares": inspection.size_breakdown(content, variant.format),
            "sha256": bundle.sha256_file(path),
            "inputs": [dataclasses.asdict(opened.input)],
            "outputs": [dataclasses.asdict(opened.output)],
            "source_model_sha256": self._source.sha256,
            "calibration": used.record() if variant.calibrated else None,
            "audit": audit.record(read),
        }
        agreement = float(np.mean(computed.argmax(1) == self._expected.argmax(1)))
        verdict = gate.judge(
            computed,
            self._expected,
            self._labels,
            is_float32=variant.precision == "float32",
            thresholds=gate.Thresholds(),
        )
        return Made(
            variant=variant,
            content=content,
            entry=entry,
            golden=golden,
            agreement=agreement,
            breaches=audit.findings(read, variant) + changes(before, computed) + verdict.breaches,
            remarks=verdict.remarks,
            seconds=time.perf_counter() - started,
        )

    def _with_contract(self, variant, content):
        source = self._source
        return metadata.embed(
            content,
            variant.format,
            {
                "project": f"mnist-edge {mnist_edge.__version__}",
                "model": source.name,
                "source_model_sha256": source.sha256,
                "variant": variant.name,
                "input": {
                    "name": "image",
                    "shape": list(source.shape),
                    "layout": "NHWC" if len(source.shape) == 3 else "batch first",
                    "range": source.input_range,
                },
                "output": {"name": "probabilities", "labels": list(source.labels)},
            },
        )

    def _error(self, variant, content):
        """Mean absolute difference from the model's probabilities."""
        computed = self._run(variant, content, 200)
        return fallback.mean_difference(computed, self._expected[:200])

    def _run(self, variant, content, count=None):
        """What bytes without a contract compute on the first `count` check images."""
        path = Path(self._folder) / f"raw-{variant.file}"
        path.write_bytes(content)
        return runtimes.open_artifact(path).predict(self._images[:count])


def changes(before, after):
    """What writing a file again must not do: change a bit of what it computes.

    Args:
        before: float32 `[n, classes]`, by the file as it was converted.
        after: The same, by the file as it is to be written.

    Returns:
        list of str, empty where all bits are the same.
    """
    differing = np.any(before.view(np.uint32) != after.view(np.uint32), axis=1)
    if not differing.any():
        return []
    return [
        f"computes otherwise than the converter's own file on {differing.sum()} of "
        f"{len(differing)} validation images"
    ]
