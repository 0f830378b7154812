"""The layers of LeNet-5 as published in 1998, in keras.ops so that they run on every backend."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerascnn")
def scaled_tanh(x):
    """1.7159 tanh(2x / 3), which sends 1 to 1 and -1 to -1 (LeCun et al. 1998, appendix A). Any shape -> the same."""
    return 1.7159 * ops.tanh(x * (2 / 3))


@keras.saving.register_keras_serializable(package="kerascnn")
class TrainableSubsampling(keras.layers.Layer):
    """The sum of every 2 × 2 square times a coefficient plus a bias, both trained, one pair per channel.

    Layers S2 and S4 of LeCun et al. 1998, section II.B. The coefficient begins at 1/4, where the layer is an average.
    (B, H, W, C) float -> (B, H // 2, W // 2, C).
    """

    def __init__(self, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        self.coefficient = self.add_weight(
            name="coefficient", shape=(input_shape[-1],), initializer=keras.initializers.Constant(0.25)
        )
        self.bias = self.add_weight(name="bias", shape=(input_shape[-1],), initializer="zeros")

    def call(self, x):
        # Strides are said, since with Keras 3.15 their default fails under JAX.
        total = 4 * ops.average_pool(x, (2, 2), (2, 2), data_format="channels_last")
        return self.activation(total * self.coefficient + self.bias)

    def get_config(self):
        return {**super().get_config(), "activation": keras.activations.serialize(self.activation)}


@keras.saving.register_keras_serializable(package="kerascnn")
class TableConv2D(keras.layers.Layer):
    """A convolution, stride 1 and no padding, whose output channel `j` sees only the input channels `table[j]`.

    Only connections in the table have weights: layer C3 of LeCun et al. 1998, table I. Weights begin uniform with
    standard deviation 1 / sqrt(inputs of the unit) (LeCun et al., Efficient BackProp, 1998, section 4.6).
    (B, H, W, C) float -> (B, H - kernel_size + 1, W - kernel_size + 1, len(table)).
    """

    def __init__(self, table, kernel_size, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.table = [list(inputs) for inputs in table]
        self.kernel_size = kernel_size
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        self.dense_shape = (self.kernel_size, self.kernel_size, input_shape[-1], len(self.table))
        self.positions = [i * len(self.table) + j for j, inputs in enumerate(self.table) for i in inputs]
        channels_seen = [len(inputs) for inputs in self.table for _ in inputs]

        def uniform_by_table(shape, dtype):
            of_one_channel = keras.initializers.LecunUniform()(shape, dtype)
            return of_one_channel / ops.sqrt(ops.cast(channels_seen, dtype))

        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.kernel_size, self.kernel_size, 1, len(self.positions)),
            initializer=uniform_by_table,
        )
        self.bias = self.add_weight(name="bias", shape=(len(self.table),), initializer="zeros")

    def call(self, x):
        # One small matrix product lays the connections out as an ordinary kernel, zero where there is none.
        placement = ops.one_hot(self.positions, self.dense_shape[2] * self.dense_shape[3], dtype=x.dtype)
        kernel = ops.reshape(ops.matmul(ops.cast(self.kernel, x.dtype), placement), self.dense_shape)
        return self.activation(ops.conv(x, kernel, padding="valid", data_format="channels_last") + self.bias)

    def get_config(self):
        activation = keras.activations.serialize(self.activation)
        own = {"table": self.table, "kernel_size": self.kernel_size, "activation": activation}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="kerascnn")
class CodeDistance(keras.layers.Layer):
    """Minus the squared Euclidean distance to each of the vectors `codes`, shape (classes, features).

    The output layer of LeCun et al. 1998, section II.B, with its sign turned so that the largest wins.
    The codes are non-trainable weights. (B, features) float -> (B, classes).
    """

    def __init__(self, codes, **kwargs):
        super().__init__(**kwargs)
        self.code_values = [list(code) for code in codes]

    def build(self, input_shape):
        self.codes = self.add_weight(
            name="codes",
            shape=(len(self.code_values), input_shape[-1]),
            initializer=lambda shape, dtype: ops.cast(self.code_values, dtype),
            trainable=False,
        )

    def call(self, x):
        return -ops.sum(ops.square(ops.expand_dims(x, 1) - self.codes), axis=-1)

    def get_config(self):
        return {**super().get_config(), "codes": self.code_values}
