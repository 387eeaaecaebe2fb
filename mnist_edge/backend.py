"""Start Keras on whichever backend is installed and chosen."""

from mnist_edge import cli


def start_keras():
    """Imports Keras and starts its backend, quietly.

    Returns:
        The `keras` module.

    Raises:
        cli.InputError: Keras or its backend is not installed.
    """
    try:
        with cli.native_logs_held():
            import keras

            keras.ops.zeros(())
    except ImportError as error:
        raise cli.InputError(
            f"Keras with a backend is required. Got: {error}. "
            "Install 'mnist-edge[tensorflow]', or another backend and set KERAS_BACKEND."
        ) from error
    return keras
