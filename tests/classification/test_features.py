import keras
import numpy as np
import pytest

from kerascnn import models
from kerascnn.classification.features import extract_features, feature_model
from kerascnn.classification.projector import write_projector
from kerascnn.datasets import load
from kerascnn.datasets.examples import Examples
from kerascnn.datasets.synthetic import drawn
from kerascnn.errors import UsageError

CLASSES = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def nested():
    """Convolution and batch normalization in a model in a Sequential, with a Sequential in them."""
    keras.utils.set_random_seed(0)
    deepest = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(4, name="deep"), keras.layers.Dense(3)], name="deepest"
    )
    image = keras.Input((6, 6, 3))
    x = keras.layers.BatchNormalization(name="bn")(keras.layers.Conv2D(8, 3, name="conv")(image))
    inner = keras.Model(image, deepest(keras.layers.GlobalAveragePooling2D(name="pool")(x)), name="inner")
    twice = keras.layers.Rescaling(2.0, name="twice")
    return keras.Sequential([keras.Input((6, 6, 3)), twice, inner, keras.layers.Dense(5, name="logits")])


def test_layers_of_nested_models_answer_by_their_names(nested):
    images = np.random.default_rng(0).random((7, 6, 6, 3), np.float32)
    inner = nested.get_layer("inner")
    answers = feature_model(nested, ["twice", "conv", "deep", "inner", "logits"]).predict(images, verbose=0)
    np.testing.assert_allclose(answers["twice"], 2 * images)
    np.testing.assert_allclose(answers["conv"], inner.get_layer("conv")(2 * images), atol=1e-6)
    pooled = np.mean(inner.get_layer("bn")(answers["conv"]), (1, 2))
    np.testing.assert_allclose(answers["deep"], inner.get_layer("deepest").get_layer("deep")(pooled), atol=1e-6)
    np.testing.assert_allclose(answers["inner"], inner(2 * images), atol=1e-6)
    np.testing.assert_allclose(answers["logits"], nested(images), atol=1e-6)


def test_a_name_of_two_layers_wants_the_models_in_front():
    image = keras.Input((4,))
    parts = [keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="same")], name=name) for name in "ab"]
    model = keras.Model(image, keras.layers.Add(name="sum")([part(image) for part in parts]), name="two")
    words = "^layer is 'same', and two has 2 of that name; choose one of a/same, b/same$"
    with pytest.raises(UsageError, match=words):
        feature_model(model, ["same"])
    given = np.ones((1, 4), np.float32)
    answers = feature_model(model, ["a/same", "b/same", "sum"]).predict(given, verbose=0)
    np.testing.assert_allclose(answers["sum"], answers["a/same"] + answers["b/same"], atol=1e-6)


def test_an_unknown_name_says_those_that_are_like_it(nested):
    with pytest.raises(
        UsageError, match=r"^layer is 'depe', and sequential.* has no layer of .*; choose one of deep, "
    ):
        feature_model(nested, ["depe"])


def test_features_stand_in_the_order_of_the_examples_and_say_which_count():
    examples = drawn(20, 0)
    weights = np.ones(20, np.float32)
    weights[3] = 0
    model = models.five_layer_cnn((28, 28, 1), 10)
    features, labels, counted = extract_features(model, Examples(examples.images, examples.labels, weights))
    np.testing.assert_array_equal(labels, examples.labels)
    assert np.flatnonzero(~counted).tolist() == [3]
    wanted = keras.Model(model.input, model.get_layer("embedding").output)(examples.images / np.float32(255))
    np.testing.assert_allclose(features["embedding"], wanted, atol=1e-5)


def test_tensorboard_finds_vectors_labels_and_images(tmp_path):
    from google.protobuf import text_format
    from tensorboard.plugins.projector import ProjectorConfig
    from tensorboard.plugins.projector.projector_plugin import _read_tensor_tsv_file

    examples = drawn(7, 0)
    vectors = np.random.default_rng(0).normal(size=(7, 2, 3)).astype(np.float32)
    names = [f"a\t{number}" for number in range(7)]
    write_projector(tmp_path, {"embedding": vectors}, examples, CLASSES, names)
    config = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (embedding,) = config.embeddings
    assert embedding.tensor_name == "embedding"
    read = _read_tensor_tsv_file(str(tmp_path / embedding.tensor_path))
    np.testing.assert_allclose(read, vectors.reshape(7, 6), rtol=1e-4)
    head, *rows = (tmp_path / embedding.metadata_path).read_text().splitlines()
    assert head == "class\tname"  # of two columns the first line has their names
    assert rows == [f"{label}\ta\\t{number}" for number, label in enumerate(examples.labels)]
    assert list(embedding.sprite.single_image_dim) == [28, 28]
    import cv2

    sprite = cv2.imread(str(tmp_path / embedding.sprite.image_path))
    assert sprite.shape == (3 * 28, 3 * 28, 3)  # a square grid
    np.testing.assert_array_equal(sprite[28:56, :28, 0], examples.images[3, :, :, 0])


def test_a_sprite_has_the_colours_of_its_images(tmp_path):
    import cv2

    red = np.zeros((1, 100, 50, 3), np.uint8)
    red[..., 0] = 255
    write_projector(tmp_path, {"x": np.ones((1, 2))}, Examples(red, np.array([4], np.int32)), CLASSES)
    sprite = cv2.cvtColor(cv2.imread(str(tmp_path / "sprite.png")), cv2.COLOR_BGR2RGB)
    assert sprite.shape == (64, 32, 3)
    assert (sprite == [255, 0, 0]).all()


def test_a_layer_may_be_named_alone_and_what_is_no_split_is_named():
    model, examples = models.mlp(), drawn(5, 0)
    features, *_ = extract_features(model, examples, "embedding")
    assert features["embedding"].shape[0] == 5
    for wrong, words in (
        (None, "^examples is NoneType; give a split"),
        (load("synthetic"), "^examples is the whole data s"),
    ):
        with pytest.raises(UsageError, match=words):
            extract_features(model, wrong)
