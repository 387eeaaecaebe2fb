"""How much memory a model asks for: its weights, and what its layers give."""

import math

# 600 MB in float32. VGG16, the largest classifier in common use, has 138 million.
MOST_WEIGHTS = 150_000_000
# 134 MB in float32, of one layer for one example. EfficientNetB7 at 600 x 600 pixels gives
# 17 million.
MOST_VALUES = 2**25
# 67 MB in float32, of one layer for a whole batch. ConvNeXtTiny keeps a dozen such at once.
_MOST_BATCH_VALUES = 2**24
_MOST_BATCH = 500


def weights(model):
    """How many numbers a `keras.Model` keeps, trained or not."""
    return sum(math.prod(map(int, variable.shape)) for variable in model.variables)


def largest_output(model):
    """How many numbers the most generous layer of a `keras.Model` gives for one example."""
    return max((math.prod(_sizes(tensor)) for tensor in _tensors(model)), default=0)


def batch_size(model):
    """How many examples a `keras.Model` may be given at once: 500 where it is small."""
    return max(1, min(_MOST_BATCH, _MOST_BATCH_VALUES // max(1, largest_output(model))))


def check(model):
    """Raises `ValueError` where a `keras.Model`, built or not, is too large; the reason."""
    asked = weights(model)
    if asked > MOST_WEIGHTS:
        raise ValueError(f"it asks for {asked:,} weights, at most {MOST_WEIGHTS:,} are given")
    asked = largest_output(model)
    if asked > MOST_VALUES:
        raise ValueError(
            f"a layer of it gives {asked:,} values an example, at most {MOST_VALUES:,} are taken"
        )


def _sizes(tensor):
    return [int(size or 1) for size in tensor.shape[1:]]  # the first is the batch


def _tensors(model):
    for layer in model._flatten_layers():  # models within the model, too
        for operation in getattr(layer, "operations", [layer]):
            for node in operation._inbound_nodes:
                yield from node.output_tensors
