import numpy as np
import pytest

from benchmarks.frontier.published import PUBLISHED
from mnist_edge import models

BUILT = [network for network in PUBLISHED.networks if network.layers]


@pytest.mark.parametrize("network", BUILT, ids=lambda network: network.name)
def test_the_layers_of_a_published_network_have_its_parameters(network):
    model = network.build()
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    # PyTorch does not count batch normalization's moving statistics, Keras does.
    assert network.parameters in (trainable, model.count_params())


def test_every_reference_has_a_row_of_the_zoo():
    assert {reference.model for reference in PUBLISHED.references} <= set(models.ZOO)
    assert [reference.letter[0] for reference in PUBLISHED.references] == list("ABCDEE")
