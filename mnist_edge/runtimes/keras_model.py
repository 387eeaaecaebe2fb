"""Keras's own files."""

from pathlib import Path

from .predictor import Predictor, unchanged


def open_artifact(path: str, threads: int) -> Predictor:
    """Opens a `.keras` file; its backend takes the number of threads from the environment."""
    import keras

    from mnist_edge.models import ports, trained  # other runtimes start quicker without these

    model = trained.load_model(Path(path), "Export the bundle again.")
    return Predictor(
        runtime=f"Keras {keras.version()}, {keras.backend.backend()}",
        batch=None,
        encode=unchanged,
        call=ports.caller(model, model.predict_on_batch),
        decode=unchanged,
    )
