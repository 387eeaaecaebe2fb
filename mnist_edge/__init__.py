"""Train handwritten-digit classifiers with Keras, export them, prove the exports.

    import mnist_edge

    mnist_edge.read_digits(["photo.jpg"])[0].digit            # the packaged model reads a picture
    data = mnist_edge.load_dataset()                          # MNIST, or data of your own
    model = mnist_edge.build_model("edge")                    # a network of the zoo, untrained
    trained = mnist_edge.load_model("artifacts/edge")         # a bundle's, or a packaged one's
    artifact = mnist_edge.open_artifact("artifacts/edge/tflite-int8.tflite")
    artifact.predict(data.x_test[:5, ..., None].astype("float32"))

`python -m mnist_edge.train` writes a bundle, `artifacts/edge/`, that `python -m export` turns
into TFLite and ONNX files and `python -m benchmarks` checks and times.
"""

import importlib
import os

# Before they are imported, here or in a child. From its import on, ONNX Runtime would keep an
# identifier of the device on disk and send events over the network.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
# By public name, its module and its name there; imported when it is first asked for, so that
# a device needs only what it uses.
_PUBLIC = {
    "InputError": ("errors", "InputError"),
    "Dataset": ("data", "Dataset"),
    "load_dataset": ("data", "load"),
    "build_model": ("models", "build"),
    "load_model": ("models.trained", "open_named"),
    "open_artifact": ("runtimes", "open_artifact"),
    "read_digits": ("predict", "read_digits"),
}
__all__ = [*_PUBLIC]


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
