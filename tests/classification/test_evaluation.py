import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.classification.calibration import fitted_temperature
from kerascnn.classification.evaluation import calibrate, evaluate, evaluate_classifier
from kerascnn.classification.inference import Inference
from kerascnn.datasets import Examples, image_folder
from kerascnn.errors import InputError, UsageError
from kerascnn.models import five_layer_cnn


def brightness_model():
    """Logits (0, 20 (mean - 0.5)): class 1 where the image is brighter than half."""
    image = keras.Input((4, 4, 1), name="image")
    mean = keras.layers.GlobalAveragePooling2D()(image)
    logits = keras.layers.Dense(2, name="logits")
    model = keras.Model(image, logits(mean))
    logits.set_weights([np.array([[0.0, 20.0]]), np.array([0.0, -10.0])])
    return model


EXAMPLES = Examples(
    np.broadcast_to(np.array([10, 250, 20, 240, 30], np.uint8)[:, None, None, None], (5, 4, 4, 1)),
    np.array([0, 1, 0, 1, 1], np.int32),
)


def test_every_example_is_scored_and_the_files_are_left(tmp_path):
    metrics = evaluate_classifier(brightness_model(), None, EXAMPLES, ("dark", "bright"), tmp_path, {"split": "test"})
    assert metrics["examples"] == 5
    assert metrics["accuracy"] == 0.8
    assert metrics["per_class"]["bright"] == {"precision": 1.0, "recall": 2 / 3, "support": 3}
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert metrics["split"] == "test"
    assert (tmp_path / "confusion.csv").read_text() == "label,dark,bright\ndark,2,0\nbright,1,2\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "answers.png",
        "confusion.csv",
        "confusion.png",
        "metrics.json",
        "mistakes.png",
        "reliability.png",
    ]


def test_evaluation_goes_through_the_preprocessing(tmp_path):
    def inverted(images):
        return 1 - keras.ops.cast(images, "float32") / 255

    metrics = evaluate_classifier(brightness_model(), inverted, EXAMPLES, ("dark", "bright"), tmp_path, {})
    assert metrics["accuracy"] == 0.2


@pytest.mark.long
def test_a_half_precision_network_is_scored_as_it_is_exported(tmp_path):
    model = brightness_model()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = brightness_model()
    finally:
        keras.config.set_dtype_policy("float32")
    images = np.random.default_rng(0).integers(0, 256, (64, 4, 4, 1), np.uint8)
    examples = Examples(images, (np.arange(64) % 2).astype(np.int32))
    for network, name in ((model, "whole"), (half, "half")):
        (tmp_path / name).mkdir()
        evaluate_classifier(network, None, examples, ("dark", "bright"), tmp_path / name, {})
    texts = [(tmp_path / name / "metrics.json").read_text() for name in ("whole", "half")]
    assert texts[0] == texts[1]


def test_what_training_takes_is_scored():
    images = EXAMPLES.images / np.float32(255)
    expected = evaluate(brightness_model(), EXAMPLES)
    for labels in (EXAMPLES.labels[:, None], np.eye(2, dtype=np.float32)[EXAMPLES.labels]):
        metrics = evaluate(brightness_model(), tf.data.Dataset.from_tensors((images, labels)))
        assert metrics["per_class"] == expected["per_class"]
        assert metrics["cross_entropy"] == pytest.approx(expected["cross_entropy"])


def test_labels_that_the_model_does_not_know_are_an_error():
    data = dataclasses.replace(EXAMPLES, labels=EXAMPLES.labels + 1)
    with pytest.raises(UsageError, match="^data has labels up to 2, and the model has 2 logits; give a model for all"):
        evaluate(brightness_model(), data)


def test_weights_may_be_a_column_and_labels_or_batches_that_are_none_are_errors():
    images, weights = EXAMPLES.images / np.float32(255), np.array([[1], [1], [1], [1], [0]], np.float32)
    column = tf.data.Dataset.from_tensors((images, EXAMPLES.labels[:, None], weights))
    assert evaluate(brightness_model(), column)["accuracy"] == 1
    with pytest.raises(UsageError, match="^data has labels from -1 on, and the model has 2 logits; give a model for"):
        calibrate(brightness_model(), dataclasses.replace(EXAMPLES, labels=EXAMPLES.labels - 1))
    padded = tf.data.Dataset.from_tensors((images, np.where(weights[:, 0] > 0, EXAMPLES.labels, -1), weights))
    assert evaluate(brightness_model(), padded)["examples"] == 4
    with pytest.raises(UsageError, match="^data is a tf.data.Dataset of no batch; give it some$"):
        evaluate(brightness_model(), column.take(0))
    with pytest.raises(UsageError, match="^data has no batch; give some$"):
        evaluate(brightness_model(), column.filter(lambda *batch: False))


def test_photos_of_which_none_decodes_are_named(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"no image")
    photos = image_folder(tmp_path, (8, 8), validation=0, test=0).train
    with pytest.raises(InputError, match="^none of the 2 images in .* decodes; give PNG, JPEG, WebP or BMP files$"):
        evaluate_classifier(five_layer_cnn((8, 8, 3), 2), None, photos, ("a", "b"), tmp_path, {})


def test_examples_that_count_nothing_are_no_examples():
    data = dataclasses.replace(EXAMPLES, weights=np.zeros(5, np.float32))
    with pytest.raises(UsageError, match="^data has no example that counts; give some of a weight above 0$"):
        evaluate(brightness_model(), data)


def test_the_temperature_is_that_of_examples_for_validation():
    # the logits differ by 20 * (166 / 255 - 0.5), and log 3 is the difference that says 3/4
    examples = Examples(np.full((100, 4, 4, 1), 166, np.uint8), np.tile([1, 1, 1, 0], 25).astype(np.int32))
    found = calibrate(brightness_model(), examples)
    assert found == {"temperature": pytest.approx(20 * (166 / 255 - 0.5) / np.log(3), abs=1e-3)}
    assert calibrate(brightness_model(), None) == {}


def test_probabilities_have_no_temperature():
    model = brightness_model()
    sure = keras.Model(model.input, keras.layers.Softmax()(model.output))
    with pytest.raises(UsageError, match="ends in an activation, and logits are wanted"):
        calibrate(sure, Examples(np.full((100, 4, 4, 1), 166, np.uint8), np.tile([1, 0], 50).astype(np.int32)))


@pytest.mark.parametrize("count", [0, 99])
def test_few_examples_that_count_give_no_temperature(count):
    weights = (np.arange(100) < count).astype(np.float32)
    labels = np.tile([1, 1, 1, 0], 25).astype(np.int32)
    assert calibrate(brightness_model(), Examples(np.full((100, 4, 4, 1), 166, np.uint8), labels, weights)) == {}


@pytest.mark.long
def test_metrics_are_those_of_logits_divided_by_the_temperature(tmp_path):
    metrics = evaluate_classifier(
        brightness_model(), None, EXAMPLES, ("dark", "bright"), tmp_path, {}, Inference(temperature=4.0)
    )
    colder = brightness_model()
    colder.get_layer("logits").set_weights([weight / 4 for weight in colder.get_layer("logits").get_weights()])
    expected = evaluate(colder, EXAMPLES, ("dark", "bright"))
    assert metrics["per_class"] == expected.pop("per_class")
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value), name
    assert metrics["temperature"] == 4
    assert metrics["ece_before_temperature"] == pytest.approx(evaluate(brightness_model(), EXAMPLES)["ece"])
    assert metrics["ece_before_temperature"] != pytest.approx(metrics["ece"])


@pytest.mark.parametrize("tta", ["flip", pytest.param("ten_crop", marks=pytest.mark.slow), "144_crop"])
@pytest.mark.long
def test_views_of_an_image_of_one_colour_are_answered_as_the_image(tta, tmp_path):
    metrics = evaluate_classifier(
        brightness_model(), None, EXAMPLES, ("dark", "bright"), tmp_path, {}, Inference(tta=tta)
    )
    single = evaluate(brightness_model(), EXAMPLES, ("dark", "bright"))
    assert metrics["cross_entropy"] == pytest.approx(single["cross_entropy"], rel=1e-4)
    assert (metrics["tta"], metrics["accuracy_single_view"]) == (tta, 0.8)


def test_the_temperature_is_that_of_the_mean_over_views():
    """Half of the images answer otherwise when they are flipped, so that two views are less sure than one."""
    image = keras.Input((4, 4, 1), name="image")
    logits = keras.layers.Dense(2, name="logits")
    model = keras.Model(image, logits(keras.layers.Flatten()(image)))
    left = np.zeros((4, 4))
    left[:, 0] = 2.0
    logits.set_weights([np.stack([np.zeros(16), left.ravel()], 1), np.array([0.0, -3.0])])
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (400, 4, 4, 1)).astype(np.uint8)
    labels = (random.random(400) < images[:, :, 0, 0].mean(1) / 255).astype(np.int32)
    answers = np.mean([model(view / np.float32(255)) for view in (images, images[:, :, ::-1])], 0)
    found = calibrate(model, Examples(images, labels), "flip")["temperature"]
    assert found == pytest.approx(fitted_temperature(answers, labels), rel=1e-3)
    assert found != pytest.approx(calibrate(model, Examples(images, labels))["temperature"], rel=1e-2)


def test_images_of_another_size_are_an_error():
    with pytest.raises(
        UsageError, match="^data has images of 8x8x1, and the model takes 4x4x1; build it for these, or"
    ):
        evaluate(brightness_model(), Examples(np.zeros((2, 8, 8, 1), np.uint8), np.zeros(2, np.int32)))


def test_a_dataset_without_end_is_an_error():
    endless = tf.data.Dataset.from_tensors((np.zeros((2, 4, 4, 1), np.float32), np.zeros(2, np.int32))).repeat()
    with pytest.raises(UsageError, match=r"^data is a tf.data.Dataset without end; give it one with .take\(steps\)$"):
        evaluate(brightness_model(), endless)
