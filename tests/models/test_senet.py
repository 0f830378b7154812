"""Squeeze and excitation, beyond what every builder is tested for."""

import keras
import numpy as np

from kerascnn.models.senet import squeeze_excitation


def test_squeeze_and_excitation_scales_each_channel_by_a_gate_of_all_means():
    image = keras.Input((5, 6, 32))
    model = keras.Model(image, squeeze_excitation(image, "se"))
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 32)).astype(np.float32)
    reduce, excite = (model.get_layer(f"se_{name}") for name in ("reduce", "excite"))
    assert reduce.kernel.shape == (32, 2)
    hidden = np.maximum(x.mean((1, 2)) @ reduce.kernel.numpy() + reduce.bias.numpy(), 0)
    gate = 1 / (1 + np.exp(-(hidden @ excite.kernel.numpy() + excite.bias.numpy())))
    np.testing.assert_allclose(model(x).numpy(), x * gate[:, None, None], atol=1e-5)
