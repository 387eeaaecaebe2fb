"""Train handwritten-digit classifiers with Keras, export them, verify the exports.

    import mnist_edge

    mnist_edge.read_digits("photo.jpg")[0].digit        # read a picture with the packaged model

    data = mnist_edge.load_dataset()                    # MNIST; for your own arrays: Dataset
    trained = mnist_edge.train_model("edge", data)      # a network of the zoo
    mnist_edge.export_model(trained, data, "mine")      # TFLite and ONNX files, and what failed
    report = mnist_edge.benchmark("mine")               # parity and latency of each artifact
    report.records()                                    # for pandas.DataFrame

    trained = mnist_edge.load_model("mine")             # from a bundle, or a packaged model
    artifact = mnist_edge.open_artifact("mine/tflite-int8.tflite")
    artifact.predict(data.x_test[:5, ..., None].astype("float32"))

docs/python.md has an example of each. The commands are thin layers over these functions:
`mnist-edge train`, `export`, `benchmark`, `predict`.
"""

import importlib
import importlib.util
import os
import types

# Set before ONNX Runtime is imported, here or in a child process: on import it would store a
# device identifier on disk and send telemetry over the network.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
# Public name -> (module, name in that module). Each is imported on first access, so a device
# needs only the packages that it uses.
_PUBLIC = {
    "GateError": ("errors", "GateError"),
    "InputError": ("errors", "InputError"),
    "Dataset": ("data", "Dataset"),
    "load_dataset": ("data", "load"),
    "build_model": ("models", "build"),
    "load_model": ("models.opened", "open_named"),
    "open_artifact": ("runtimes", "open_artifact"),
    "read_digits": ("classifier", "read_digits"),
    "classify": ("classifier", "classify"),
    "train_model": ("train", "train_model"),
    "export_model": ("export.pipeline", "export_model"),
    "benchmark": ("benchmarks.run", "benchmark"),
    "compare_layers": ("benchmarks.layers.compare", "compare_layers"),
}
__all__ = [*_PUBLIC]


def import_module(name: str) -> types.ModuleType:
    """Imports a module of the package; in a checkout, `export` and `benchmarks` are top-level."""
    folder = name.partition(".")[0]
    if importlib.util.find_spec(f"{__name__}.{folder}") is None:
        return importlib.import_module(name)
    return importlib.import_module(f"{__name__}.{name}")


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
