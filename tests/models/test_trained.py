"""Models that can't be exported are refused with what to do."""

import keras
import pytest
from keras import layers

from mnist_edge.errors import InputError
from mnist_edge.models import trained


def test_a_model_that_ends_in_a_choice_is_told_to_end_before_it():
    image = keras.Input((4,))
    model = keras.Model(image, keras.ops.argmax(layers.Dense(3)(image), -1))
    with pytest.raises(InputError, match=r"Got: \[None\], int32.* probabilities or logits"):
        trained.check_model("the model", model)
