"""Muon for convolutions: each step turns a kernel's gradient into the nearest orthogonal matrix.

Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/. Keras's own takes matrices
alone and leaves the kernels of convolutions to AdamW, so that a convolutional network would
hardly be touched by it.
"""

import math

import keras
from keras import ops


class ConvolutionMuon(keras.optimizers.Muon):
    """Muon for the kernels of convolutions, AdamW for everything else, the classifier included.

    A kernel `[height, width, in, out]` is taken as a matrix `[height * width * in, out]`,
    a depthwise one `[height, width, in, multiplier]` as `[height * width, in * multiplier]`.
    """

    def _should_use_adamw(self, variable):
        return len(variable.shape) != 4

    def _muon_update_step(self, gradient, variable, lr, m):
        height, width, inputs, _ = variable.shape
        # TensorFlow hands over its own variable, "depthwise_kernel:0".
        is_depthwise = variable.name.startswith("depthwise_kernel")
        rows = height * width * (1 if is_depthwise else inputs)
        columns = math.prod(variable.shape) // rows
        self.assign(m, gradient + self.momentum * m)
        ahead = ops.reshape(gradient + self.momentum * m, (rows, columns))
        step = self.zeropower_via_newtonschulz5(ahead, self.ns_steps)
        self.assign_sub(variable, lr * ops.reshape(step, variable.shape))
