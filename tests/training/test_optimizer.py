"""Muon for convolutions: what a step does to kernels, and to everything else."""

import keras
import numpy as np
import pytest

from mnist_edge import models
from mnist_edge.training.optimizer import ConvolutionMuon, optimizer

RECIPE = models.Recipe(1, 8, learning_rate=0.01, weight_decay=0.1, muon_rate=0.05)


def stepped(optimizer, variables, gradients):
    """What one step adds to each variable."""
    before = [np.array(variable) for variable in variables]
    optimizer.apply(gradients, variables)
    return [np.array(v) - b for v, b in zip(variables, before, strict=True)]


def random_variables():
    chance = np.random.default_rng(0)
    shapes = {"kernel": (3, 3, 8, 16), "depthwise_kernel": (3, 3, 8, 1), "dense": (20, 10)}
    variables = [
        keras.Variable(chance.normal(size=shape).astype(np.float32), name=name)
        for name, shape in shapes.items()
    ]
    return variables, [chance.normal(size=v.shape).astype(np.float32) for v in variables]


@pytest.mark.parametrize(("index", "rows"), [(0, 72), (1, 9)])
def test_a_kernels_step_is_nearly_orthogonal_and_points_down_the_gradient(index, rows):
    variables, gradients = random_variables()
    optimizer = ConvolutionMuon(0.05, weight_decay=0.0, rms_rate=None)
    step = stepped(optimizer, variables, gradients)[index]
    sizes = np.linalg.svd(step.reshape(rows, -1) / 0.05, compute_uv=False)
    assert 0.5 < sizes.min() <= sizes.max() < 1.25  # five Newton-Schulz steps come so near
    assert (step * gradients[index]).sum() < 0
    # The gradient's own singular values are far apart: it is not just scaled.
    plain = np.linalg.svd(gradients[index].reshape(rows, -1), compute_uv=False)
    assert plain.max() / plain.min() > 1.3 * sizes.max() / sizes.min()


def test_all_other_weights_are_adamws_with_its_own_rate_and_decay():
    ours, adamw = (random_variables() for _ in range(2))
    step = stepped(optimizer(RECIPE, 8), *ours)[2]
    other = keras.optimizers.AdamW(0.01, weight_decay=0.1)
    assert step == pytest.approx(stepped(other, *adamw)[2], abs=1e-6)


def test_a_kernel_decays_by_its_own_rate():
    variables, gradients = random_variables()
    kernel = np.array(variables[0])
    plain = ConvolutionMuon(0.05, weight_decay=0.0, rms_rate=None)
    step = stepped(plain, *random_variables())[0]
    decayed = stepped(optimizer(RECIPE, 8), variables, gradients)[0]
    assert decayed - step == pytest.approx(-0.05 * 0.1 * kernel, abs=1e-6)
