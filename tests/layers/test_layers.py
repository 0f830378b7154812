import keras
import numpy as np
import pytest

from kerascnn.layers import (
    BatchRenormalization,
    CeilingMaxPooling2D,
    CodeDistance,
    FullConv2D,
    GroupedConv2D,
    LocalResponseNormalization,
    MinPooling2D,
    ReflectPadding2D,
    TableConv2D,
    TrainableSubsampling,
    ZeroPadShortcut,
    scaled_tanh,
)

LAYERS = [
    (TrainableSubsampling(scaled_tanh), (5, 6, 3)),
    (TableConv2D([(0, 2), (1,)], 3, scaled_tanh), (5, 6, 3)),
    (CodeDistance([[1, -1, 1], [-1, -1, 1]]), (3,)),
    (LocalResponseNormalization(size=3, k=1.0), (5, 6, 4)),
    (CeilingMaxPooling2D(3, 2), (6, 7, 4)),
    (MinPooling2D(3, 2, padding="same"), (6, 7, 4)),
    (GroupedConv2D(6, 3, 2, 2, "same"), (5, 6, 4)),
    (ZeroPadShortcut(6, 2), (5, 6, 4)),
    (ReflectPadding2D(2), (5, 6, 3)),
    (FullConv2D(3, (2, 3), strides=2), (5, 6, 4)),
    (BatchRenormalization(begin=0, r_end=4, d_end=2), (5, 6, 4)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda value: type(value).__name__)
def test_a_layer_saved_and_reloaded_gives_the_same_output(layer, shape, tmp_path):
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).random((2, *shape), dtype=np.float32)
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(x).numpy(), model(x).numpy())
    assert again.layers[1].get_config() == layer.get_config()
