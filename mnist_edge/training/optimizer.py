"""Optimizers and their schedule: AdamW, or Muon for convolutions and AdamW for the rest.

Muon turns each kernel's gradient into the nearest orthogonal matrix: Jordan et al., 2024,
https://kellerjordan.github.io/posts/muon/. Keras's own Muon applies to matrices only and
leaves convolution kernels to AdamW, so it would do little for a convolutional network.
"""

import math

import keras
from keras import ops

from mnist_edge.models import Recipe


class ConvolutionMuon(keras.optimizers.Muon):
    """Muon for convolution kernels, AdamW for all other weights, the classifier included.

    A kernel `[height, width, in, out]` is reshaped to a matrix `[height * width * in, out]`,
    a depthwise one `[height, width, in, multiplier]` to `[height * width, in * multiplier]`.
    """

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        return len(variable.shape) != 4

    def _apply_weight_decay(self, variables: list[keras.Variable]) -> None:
        rate = self.learning_rate  # once; Keras builds the schedule's graph for each variable
        for variable in variables:
            if self._use_weight_decay(variable):
                is_adamw = self._should_use_adamw(variable)
                decay = self.adam_weight_decay if is_adamw else self.weight_decay
                variable.assign(variable - variable * decay * rate)

    def _muon_update_step(
        self,
        gradient: keras.KerasTensor,
        variable: keras.Variable,
        lr: keras.KerasTensor,
        m: keras.Variable,
    ) -> None:
        height, width, inputs, _ = variable.shape
        # On TensorFlow this is a `tf.Variable`, named "depthwise_kernel:0".
        is_depthwise = variable.name.startswith("depthwise_kernel")
        rows = height * width * (1 if is_depthwise else inputs)
        columns = math.prod(variable.shape) // rows
        self.assign(m, gradient + self.momentum * m)
        ahead = ops.reshape(gradient + self.momentum * m, (rows, columns))
        step = self.zeropower_via_newtonschulz5(ahead, self.ns_steps)
        self.assign_sub(variable, lr * ops.reshape(step, variable.shape))


def optimizer(recipe: Recipe, count: int) -> keras.optimizers.Optimizer:
    """Returns the recipe's optimizer for `count` training images."""
    if not recipe.muon_rate:
        rate = _schedule(recipe, recipe.learning_rate, count)
        return keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
    share = recipe.learning_rate / recipe.muon_rate  # both parts share one schedule
    return ConvolutionMuon(
        _schedule(recipe, recipe.muon_rate, count),
        weight_decay=recipe.weight_decay,
        adam_lr_ratio=share,
        adam_weight_decay=recipe.weight_decay * share,
        momentum=0.9,  # better for few steps than Keras's 0.95 (docs/search.md)
        rms_rate=None,
    )


def _schedule(
    recipe: Recipe, rate: float, count: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if not recipe.cosine:
        return rate
    steps_per_epoch = math.ceil(count / recipe.batch_size)
    warmup_steps = int(recipe.warmup_epochs * steps_per_epoch)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else rate,
        decay_steps=max(1, recipe.epochs * steps_per_epoch - warmup_steps),
        warmup_target=rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
