"""Muon: steps of equal size in every direction, for the kernels of convolutions and hidden dense layers.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024,
https://kellerjordan.github.io/posts/muon/. keras.optimizers.Muon leaves every variable that is not a matrix to AdamW,
so no convolution gets it.
"""

import keras
from keras import ops

QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 3
SGD_MOMENTUM = 0.85
EPSILON = 1e-7


@keras.saving.register_keras_serializable(package="kerascnn")
class Muon(keras.optimizers.Optimizer):
    """Muon for kernels; SGD with Nesterov momentum 0.85 for everything else, kernels of output layers included.

    A kernel (…, in, out) is taken as the matrix (out, rest). Each step scales it to the norm sqrt(out), then subtracts
    learning_rate times the Nesterov momentum of its gradients, with all singular values brought near 1, as in Jordan's
    airbench94_muon; weight decay does not change it therefore. SGD's learning rates are fixed multiples of
    learning_rate: head_multiplier for kernels of output layers, bias_multiplier for biases and normalization. heads:
    paths of the variables of output layers; None for those of layers called `logits`.
    """

    def __init__(
        self, learning_rate=0.24, momentum=0.6, bias_multiplier=1.0, head_multiplier=1.0, heads=None, name="muon",
        **options,
    ):  # fmt: skip
        super().__init__(learning_rate, name=name, **options)
        self.momentum, self.bias_multiplier, self.head_multiplier = momentum, bias_multiplier, head_multiplier
        self.heads = heads

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.momentums = self.add_optimizer_variables(variables, "momentum")
            # under TensorFlow update_step gets variables that do not know their layer
            paths = [variable.path for variable in variables]
            heads = [p for p in paths if p.rpartition("/")[0].endswith("logits")] if self.heads is None else self.heads
            self.of_head = [path in heads for path in paths]

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        velocity, matrix, head = self.momentums[index], len(variable.shape) > 1, self.of_head[index]
        momentum = self.momentum if matrix and not head else SGD_MOMENTUM
        self.assign(velocity, momentum * velocity + gradient)
        step = gradient + momentum * velocity
        if matrix and not head:
            kernel, step = (ops.reshape(part, (-1, variable.shape[-1])) for part in (variable, step))
            kernel = kernel * (variable.shape[-1] ** 0.5 / (ops.norm(kernel) + EPSILON))
            moved = kernel - learning_rate * orthogonalized(step)
            self.assign(variable, ops.reshape(moved, variable.shape))
        else:
            rate = learning_rate * (self.head_multiplier if matrix else self.bias_multiplier)
            self.assign_sub(variable, rate * step)

    def get_config(self):
        names = ("momentum", "bias_multiplier", "head_multiplier", "heads")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def orthogonalized(matrix):
    """A matrix with the same singular vectors, and large singular values brought near 1, by Newton-Schulz iteration."""
    rows, columns = matrix.shape
    a, b, c = QUINTIC
    x = (ops.transpose(matrix) if rows > columns else matrix) / (ops.norm(matrix) + EPSILON)
    for _ in range(ITERATIONS):
        square = ops.matmul(x, ops.transpose(x))
        x = a * x + ops.matmul(b * square + c * ops.matmul(square, square), x)
    return ops.transpose(x) if rows > columns else x
