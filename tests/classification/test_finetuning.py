import dataclasses
import json

import keras
import numpy as np
import pytest

from kerascnn import models
from kerascnn.classification.finetuning import (
    blocks,
    features_of,
    finetune,
    flipped,
    second_stage,
    trained_layers,
    with_new_head,
)
from kerascnn.classification.recipes import REGIMES, FinetuneRecipe
from kerascnn.datasets.arrays import from_arrays
from kerascnn.datasets.augmentation import HorizontalFlip, RandomCrop
from kerascnn.datasets.batches import scaled
from kerascnn.datasets.image_folder import image_folder
from kerascnn.datasets.synthetic import drawn
from kerascnn.errors import InputError, UsageError
from kerascnn.training.recipe import Recipe
from kerascnn.training.run_folder import load_model
from tests.interrupting import Stop

pytestmark = pytest.mark.long

TRAINING = Recipe(epochs=2, batch_size=16, learning_rate=1e-2, deterministic=True)
STILL = FinetuneRecipe(training=TRAINING)
MEDIUM = dataclasses.replace(
    STILL,
    blocks=1,
    second_epochs=2,
    training=dataclasses.replace(TRAINING, augmentations=(RandomCrop(padding=2), HorizontalFlip())),
)


@pytest.fixture(scope="module")
def data():
    """Four numerals."""
    examples = drawn(400, 0)
    few = examples.take(examples.labels < 4)
    return from_arrays(few.images, few.labels)


@pytest.fixture(scope="module")
def backbone():
    """Two blocks with batch normalization, whose statistics are not those of any image here."""
    keras.utils.set_random_seed(1)
    network = models.vgg_digits((28, 28, 1), 10)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(layer.moving_mean + 0.1)
    return network


@pytest.fixture(scope="module")
def medium(backbone, data, tmp_path_factory):
    """(the network, its folder) of a run in two stages."""
    folder = tmp_path_factory.mktemp("medium")
    return finetune(backbone, data, MEDIUM, folder)[0], folder


class StopIn(Stop):
    """Stops in the second epoch of one of two stages; first: the file with which the first one ends."""

    def __init__(self, stage, first):
        super().__init__()
        self.stage, self.first = stage, first

    def on_train_begin(self, logs=None):
        self.at = 1 if self.first.is_file() == (self.stage == 2) else None


def weights(network):
    return {variable.path: variable.numpy() for variable in network.variables if "seed" not in variable.path}


def changed(network, backbone):
    """The names of the layers, but the head, whose weights or statistics are not those of the backbone."""
    before, now = weights(backbone), weights(network)
    paths = [path for path in now if not path.startswith("logits")]
    return {path.split("/")[0] for path in paths if not np.array_equal(now[path], before[path])}


def test_blocks_are_what_the_names_of_layers_begin_with():
    assert list(blocks(models.resnet20()))[:3] == ["stem", "stage1_block1", "stage1_block2"]
    assert list(blocks(models.airbench())) == ["whiten", "block1", "block2", "block3"]
    assert list(blocks(models.convnetjs())) == ["conv1", "conv2", "conv3"]


def test_the_head_is_new_and_all_other_weights_are_the_backbones(backbone):
    network = with_new_head(backbone, (28, 28, 1), 4)
    assert network.output_shape == (None, 4)
    assert changed(network, backbone) == set()
    again, other = (with_new_head(backbone, (28, 28, 1), 10, seed).get_layer("logits").kernel for seed in (0, 1))
    assert not np.array_equal(again, backbone.get_layer("logits").kernel)
    assert not np.array_equal(again, other)


def test_images_may_have_another_size_where_only_the_head_depends_on_it():
    trained = models.convnetjs((32, 32, 3), 10)
    trained.get_layer("normalize").scale = [2.0, 2.0, 2.0]  # as published weights may have it
    network = with_new_head(trained, (64, 64, 3), 4)
    assert network.get_layer("embedding").output.shape == (None, 20 * 8 * 8)
    assert network.get_layer("normalize").scale == [2.0, 2.0, 2.0]
    fixed = models.lenet5((28, 28, 1), 10)
    words = (
        r"^backbone lenet5 has c1 of \(5, 5, 1, 6\), which is of \(5, 5, 3, 6\) for images of \(28, 28, 3\); give im"
    )
    with pytest.raises(UsageError, match=words):
        with_new_head(fixed, (28, 28, 3), 4)
    with pytest.raises(
        UsageError, match="^backbone is own, which is no network of kerascnn.models; freeze layers your"
    ):
        with_new_head(keras.Model(fixed.input, fixed.output, name="own"), (28, 28, 1), 4)
    with pytest.raises(UsageError, match="^backbone mlp has embedding of .*; give a network of its builder's own wid"):
        with_new_head(models.mlp((28, 28, 1), 10, hidden=7), (28, 28, 1), 4)
    image = keras.Input((28, 28, 1))
    x = keras.layers.Dense(5, use_bias=False, name="embedding")(keras.layers.Flatten(name="normalize")(image))
    alike = keras.Model(image, keras.layers.Dense(10, name="logits")(x), name="mlp")
    with pytest.raises(UsageError, match="^backbone is mlp, which is no network of kerascnn.models; freeze layers you"):
        with_new_head(alike, (28, 28, 1), 4)
    theirs = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.GlobalAveragePooling2D()], name="resnet50")
    with pytest.raises(UsageError, match="^backbone is resnet50, which is no network of kerascnn.models; freeze lay"):
        with_new_head(theirs, (32, 32, 3), 4)


def test_small_data_train_the_head_alone_and_the_run_holds_the_whole_network(backbone, data, tmp_path):
    recipe = dataclasses.replace(STILL, training=dataclasses.replace(TRAINING, epochs=20))
    network, run = finetune(backbone, data, recipe, tmp_path)
    assert changed(network, backbone) == set()
    assert max(run.history["val_accuracy"]) > 0.7
    stored = load_model(tmp_path)
    assert (stored.name, stored.input_shape) == ("vgg_digits", (None, 28, 28, 1))
    images = data.test.images / np.float32(255)
    np.testing.assert_allclose(stored(images), network(images), atol=1e-5)
    assert np.mean(np.argmax(stored(images), -1) == data.test.labels) > 0.7
    assert json.loads((tmp_path / "recipe.json").read_text())["data"]["examples"]["train"] == len(data.train)


def test_the_head_sees_the_features_of_both_sides_of_an_image(backbone, data):
    few = data.train.take(np.arange(6))
    features = features_of(backbone, few, [scaled, flipped])
    embedding = keras.Model(backbone.input, backbone.get_layer("embedding").output)
    images = few.images / np.float32(255)
    np.testing.assert_allclose(features.images, embedding(np.concatenate([images, images[:, :, ::-1]])), atol=1e-5)
    np.testing.assert_array_equal(features.labels, [*few.labels, *few.labels])
    assert features.weights.tolist() == [1] * 12
    weighed = dataclasses.replace(few, weights=np.array([1, 0, 2, 1, 1, 0], np.float32))  # 0 as of a broken photo
    assert features_of(backbone, weighed, [scaled, flipped]).weights.tolist() == [1, 0, 2, 1, 1, 0] * 2


def test_medium_data_train_the_last_block_too_and_frozen_statistics_stay_as_they_are(medium, backbone):
    network, folder = medium
    last = set(blocks(backbone)["block3"])
    assert changed(network, backbone) == last
    assert any(name.endswith("norm") for name in last)
    assert changed(load_model(folder / "head"), backbone) == set()
    assert changed(load_model(folder), backbone) == last


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_size": 10_000}, "^batch_size is 10000, more than the .* training examples; choose a smaller one"),
        ({"layer_rates": ("blok=0.1",)}, "^layer_rates names 'blok', and no layer that is trained is called so; the n"),
        (
            {"epochs": 50, "accumulate": 90},
            "^accumulate is 90, and the training has .* batches, no update; accumulate few",
        ),
        ({"epochs": 9, "schedule": "step", "decay_epochs": (5,)}, r"^decay_epochs is \(5,\); give rising epochs from"),
    ],
)
def test_what_the_second_stage_cannot_do_is_said_before_the_first_one_trains(backbone, data, tmp_path, changes, words):
    recipe = dataclasses.replace(MEDIUM, training=dataclasses.replace(MEDIUM.training, **changes))
    with pytest.raises(UsageError, match=words):
        finetune(backbone, data, recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("recipe", "has"), [(STILL, "head/checkpoint.npz"), (MEDIUM, "checkpoint.npz")])
def test_no_stage_trains_into_the_folder_of_a_run_with_other_ones(backbone, data, tmp_path, recipe, has):
    (tmp_path / has).parent.mkdir(exist_ok=True)
    (tmp_path / has).touch()
    with pytest.raises(UsageError, match="holds an unfinished run of another recipe; choose another folder$"):
        finetune(backbone, data, recipe, tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["checkpoint.npz"]


def test_a_run_goes_on_from_the_weights_that_it_began_with_alone(backbone, data, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        finetune(backbone, data, STILL, tmp_path, callbacks=[Stop(1)])
    other = models.vgg_digits((28, 28, 1), 10)
    with pytest.raises(UsageError, match=r"was trained with sha256 '[0-9a-f]{64}' \(now '[0-9a-f]{64}'\); give the"):
        finetune(other, data, STILL, tmp_path)


def test_the_second_stage_sees_augmented_images(backbone, data, tmp_path):
    def black(images, labels, seed):
        return 0 * images, labels

    training = dataclasses.replace(TRAINING, epochs=1, augmentations=(black,))
    network, _ = finetune(backbone, data, dataclasses.replace(MEDIUM, second_epochs=1, training=training), tmp_path)
    plain = dataclasses.replace(MEDIUM, second_epochs=1, training=dataclasses.replace(training, augmentations=()))
    other, _ = finetune(backbone, data, plain, tmp_path / "other")
    name = blocks(backbone)["block3"][0]
    assert np.abs(network.get_layer(name).kernel - other.get_layer(name).kernel).max() > 1e-4


def test_photos_of_which_none_decodes_are_an_error_before_any_head_learns(tmp_path):
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"ftypheic")
    photos = image_folder(tmp_path, (32, 32), validation=0, test=0)
    recipe = dataclasses.replace(STILL, training=dataclasses.replace(TRAINING, batch_size=2))
    with pytest.raises(InputError, match="^none of the 4 images in .* decodes; give PNG, JPEG, WebP or BMP files$"):
        finetune(models.airbench(), photos, recipe, tmp_path / "run")


def test_a_network_whose_head_does_not_learn_is_no_backbone():
    words = "^backbone is lenet5_1998, whose head has no weights that learn; choose another network$"
    with pytest.raises(UsageError, match=words):
        with_new_head(models.builder("lenet5_1998")(), (28, 28, 1), 4)


def test_layers_freeze_until_the_one_that_is_named(backbone):
    names = [layer.name for layer in backbone.layers if layer.weights and layer.name != "logits"]
    until = dataclasses.replace(STILL, freeze_until="block3_conv1")
    assert trained_layers(backbone, until) == names[names.index("block3_conv1") + 1 :]
    with pytest.raises(UsageError, match="^freeze_until is 'conv9', which is no layer of vgg_digits; choose one of "):
        trained_layers(backbone, dataclasses.replace(STILL, freeze_until="conv9"))
    words = "^freeze_until is 'embedding', and no layer between it and the head has weights; name an earlier one, or ch"
    with pytest.raises(UsageError, match=words):
        trained_layers(backbone, dataclasses.replace(STILL, freeze_until="embedding"))


def test_of_branches_those_that_the_named_layer_does_not_depend_on_learn():
    network = models.googlenet((64, 64, 3), 5)
    found = trained_layers(network, dataclasses.replace(STILL, freeze_until="inception5a_3x3"))
    of_module = {name.removeprefix("inception5a_") for name in found if name.startswith("inception5a")}
    assert of_module == {"1x1", "5x5_reduce", "5x5", "project"}
    assert {name.split("_")[0] for name in found} == {"inception5a", "inception5b"}
    whole = trained_layers(network, dataclasses.replace(STILL, freeze_until="inception5a_output"))
    assert {name.split("_")[0] for name in whole} == {"inception5b"}


def test_a_rate_of_the_head_counts_in_both_stages(backbone, data, tmp_path):
    training = dataclasses.replace(MEDIUM.training, epochs=1, layer_rates=("logits=0",))
    recipe = dataclasses.replace(MEDIUM, training=training, second_epochs=1)
    network, _ = finetune(backbone, data, recipe, tmp_path, verbose=0)
    fresh = with_new_head(backbone, data.train.image_shape, len(data.class_names), training.seed)
    np.testing.assert_array_equal(network.get_layer("logits").kernel, fresh.get_layer("logits").kernel)


def test_large_data_train_every_layer_that_the_builder_trains():
    network = models.airbench()
    assert set(trained_layers(network, REGIMES["large"])) == {
        layer.name for layer in network.layers if layer.trainable_weights
    } - {"logits"}
    assert "whiten" not in trained_layers(network, REGIMES["large"])


def test_rates_of_the_users_own_count_after_those_of_the_blocks():
    recipe = dataclasses.replace(STILL, training=dataclasses.replace(TRAINING, layer_rates=("logits=0.5",)))
    training = second_stage(recipe, ["conv1", "conv2"])
    assert training.layer_rates == ("conv1=0.1", "conv2=0.1", "logits=0.5")
    assert (training.epochs, training.learning_rate) == (recipe.second_epochs, 1e-2)


@pytest.mark.slow
def test_a_run_that_was_stopped_in_both_stages_ends_with_the_same_weights(medium, backbone, data, tmp_path):
    """vgg_digits has dropout behind its embedding, so that its seeds have to go on, too."""
    first = tmp_path / "head" / "recipe.json"
    for stage in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            finetune(backbone, data, MEDIUM, tmp_path, callbacks=[StopIn(stage, first)])
        assert first.is_file() == (stage == 2)
    with pytest.raises(UsageError, match="holds an unfinished run; resume it, or choose another folder$"):
        finetune(backbone, data, MEDIUM, tmp_path, resume=False)
    with pytest.raises(UsageError, match=r"was trained with blocks 1 \(now 2\); give the same recipe or choose"):
        finetune(backbone, data, dataclasses.replace(MEDIUM, blocks=2), tmp_path)
    resumed, _ = finetune(backbone, data, MEDIUM, tmp_path)
    for path, array in weights(medium[0]).items():
        np.testing.assert_array_equal(array, weights(resumed)[path], err_msg=path)
    with pytest.raises(UsageError, match="holds a finished run; choose another folder$"):
        finetune(backbone, data, MEDIUM, tmp_path)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"weights": "a.pth"}, "weights is a.pth, and model is not given; name the network that they are of"),
        (
            {"weights": "a.pth", "backbone": "runs/a", "model": "resnet18"},
            "weights is a.pth, and backbone is runs/a; give one of the two",
        ),
        ({"blocks": -1}, "blocks is -1; give a whole number from 0 to 1000"),
        ({"backbone_rate": 2.0}, "backbone_rate is 2; give a number from 0 to 1"),
        ({"model": "unet"}, "model is 'unet', which segments images; choose a classifier"),
        ({"image_size": 0}, "image_size is 0; give a whole number from 1 to 4096"),
    ],
)
def test_a_value_that_no_finetuning_can_use_is_an_error(fields, words):
    with pytest.raises(UsageError) as caught:
        FinetuneRecipe(**fields)
    assert str(caught.value) == words


def test_what_is_no_network_no_data_and_no_recipe_is_named(backbone, data, tmp_path):
    for arguments, words in (
        (("runs/cifar", data, STILL), "^backbone is str; give a Model$"),
        ((backbone, data.train, STILL), "^data is Examples; give a Dataset$"),
        ((backbone, data, STILL.training), "^recipe is Recipe; give a FinetuneRecipe$"),
    ):
        with pytest.raises(UsageError, match=words):
            finetune(*arguments, tmp_path)
