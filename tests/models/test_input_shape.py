"""What builders say of shapes and settings under which they cannot build, each setting in a keras.json of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kerascnn.model_names import NETWORKS
from kerascnn.models.input_shape import check_size

ROOT = Path(__file__).parents[2]
DEFAULT = {"floatx": "float32", "epsilon": 1e-07, "backend": "tensorflow", "image_data_format": "channels_last"}


def under(folder, names, **settings):
    """What tests/models/user_settings.py says of these networks with a keras.json of these settings."""
    (folder / "keras.json").write_text(json.dumps({**DEFAULT, **settings}))
    printed = subprocess.run(
        [sys.executable, "-m", "tests.models.user_settings", *names],
        cwd=ROOT,
        env={**os.environ, "KERAS_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(printed.stdout)


@pytest.mark.parametrize(
    ("settings", "names", "error"),
    [
        pytest.param({}, ("mlp", "lenet5", "resnet20"), None, marks=pytest.mark.slow),
        pytest.param(
            {"image_data_format": "channels_first"},
            NETWORKS,
            "image_data_format is 'channels_first' in Keras's settings, under which {} would be another network; "
            'call keras.config.set_image_data_format("channels_last") before building it',
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"floatx": "float16"},
            NETWORKS,
            "floatx is 'float16' in Keras's settings, but {} is made for float32; call "
            'keras.config.set_floatx("float32") and keras.config.set_dtype_policy("float32") before building it',
            marks=pytest.mark.slow,
        ),
    ],
    ids=["default", "channels_first", "float16"],
)
def test_a_users_own_keras_json_changes_no_network_in_silence(settings, names, error, tmp_path):
    answer = under(tmp_path, names, **settings)
    assert answer["errors"] == ({name: error.format(name) for name in names} if error else {})
    # the advice helps: Lindholm et al. 2022, example 6.3
    assert (answer["parameters"], answer["dtypes"]) == (122_270, ["float32"])
    # an image of 8 x 12 pixels stays one, and windows of 4 leave a quarter of each side
    shapes = answer["shapes"]
    assert {name: shapes.pop(name) for name in ("max_pooling", "min_pooling", "average_pooling")} == {
        name: [1, 2, 3, 3] for name in ("max_pooling", "min_pooling", "average_pooling")
    }
    assert (shapes.pop("ceiling"), shapes.pop("full")) == ([1, 4, 6, 3], [1, 5, 7, 3])
    assert shapes
    assert all(shape == [1, 8, 12, 3] for shape in shapes.values())


@pytest.mark.parametrize("shape", [(0, 16, 3), (17, 16, 3), (16, 16), (16, 16, None)])
def test_sides_that_are_no_multiple_raise(shape):
    advice = r"use .* at least 16 x 16 pixels, in multiples of 16, or \(None, None, channels\)$"
    with pytest.raises(ValueError, match=rf"does not fit unet; {advice}"):
        check_size(shape, 16, "unet", 1, unknown=True, factor=16)
    check_size((None, 32, 3), 16, "unet", 1, unknown=True, factor=16)
