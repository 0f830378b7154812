"""What the commands of classification do before they train."""

import dataclasses

import cv2
import keras
import numpy as np
import pytest

import kerascnn as kc
from apps.images import app  # noqa: F401, run by the fixture `command`
from kerascnn.classification import evaluation
from kerascnn.classification.data import load_images
from kerascnn.classification.recipes import FinetuneRecipe, ImageRecipe
from kerascnn.classification.training import at_usual_rate, untrained
from kerascnn.cli import transfer
from kerascnn.cli.app import RequirementError
from kerascnn.cli.classification import check, fitted, train
from kerascnn.cli.transfer import published, with_backbone
from kerascnn.errors import UsageError
from kerascnn.training import duration, free_memory
from kerascnn.training.recipe import as_json
from tests.interrupting import Stop
from tests.pretrained.test_pytorch import write_zip

RECIPE = ImageRecipe(
    model="five_layer_cnn",
    data="synthetic",
    random_crop=2,
    training=kc.Recipe(epochs=12, batch_size=64, optimizer="sgd", precision="float32"),
)


@pytest.fixture
def data():
    return load_images("synthetic", None)


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """memory(bytes): what the system says is free; this machine's own memory cannot be made small."""
    monkeypatch.setattr(free_memory, "MEMORY_INFO", tmp_path / "meminfo")
    monkeypatch.setattr(free_memory, "CONTAINER", tmp_path)
    return lambda free: (tmp_path / "meminfo").write_text(f"MemAvailable: {free // 1024} kB\n")


def test_labels_that_were_not_looked_at_are_not_trusted(tmp_path, capsys):
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "photos" / name / "1.png"), np.full((40, 40, 3), 77, np.uint8))
    data = kc.datasets.image_folder(tmp_path / "photos", (32, 32), validation=0, test=0)
    with pytest.raises(RequirementError, match="^trusted is not known, as labels were not looked at; see the note abo"):
        check(data, tmp_path, {"readable": 1, "trusted": 0.5}, None)
    assert (tmp_path / "check.html").is_file()
    assert "note: labels are not looked at without a trained network; name its run folder" in capsys.readouterr().err


def test_the_shipped_network_as_the_backbone_says_what_helps(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for recipe, said in ((FinetuneRecipe(), True), (FinetuneRecipe(blocks=1), False)):
        assert with_backbone("images", recipe).backbone.endswith("saved_models/cifar10_fast")
        assert ("with --blocks 1 it learns" in capsys.readouterr().err) == said


def test_weights_of_which_one_of_several_is_to_be_chosen_say_how(tmp_path):
    write_zip(tmp_path / "net.pth", {name: {"conv1.weight": np.zeros((2, 2))} for name in ("model", "ema")})
    recipe = FinetuneRecipe(model="resnet20", weights=str(tmp_path / "net.pth"))
    with pytest.raises(UsageError) as caught:
        published(recipe, (32, 32, 3), 10)
    words = f"weights is {tmp_path}/net.pth, and key is None, but {tmp_path}/net.pth holds tensors under 'model', 'ema'"
    remedy = "give kc.load_weights its key in Python, save the network, and name that file with --backbone"
    assert str(caught.value) == f"{words}; {remedy}"


@pytest.mark.long
def test_a_batch_that_does_not_fit_is_an_error_or_made_smaller_and_a_resumed_run_keeps_it(
    data, memory, tmp_path, capsys
):
    def needed(batch_size):
        halved = dataclasses.replace(RECIPE.training, batch_size=batch_size, accumulate=64 // batch_size)
        return free_memory.needed_memory(lambda: untrained(RECIPE.model, data), halved)

    memory(int(needed(16) / free_memory.USABLE) + 2**20)
    with pytest.raises(kc.errors.UsageError, match="^batch_size is 64, with which training five_layer_cnn takes about"):
        fitted(RECIPE, data, (), tmp_path / "run", None, False)
    smaller = fitted(RECIPE, data, (), tmp_path / "run", None, True)
    assert (smaller.training.batch_size, smaller.training.accumulate) == (16, 4)
    assert capsys.readouterr().err == "--auto-batch: batch_size 16, accumulate 4\n"
    model = untrained(RECIPE.model, data)
    with pytest.raises(KeyboardInterrupt):
        kc.fit(
            model, data, smaller.training, folder=tmp_path / "run", callbacks=[Stop()],
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metadata={"recipe": as_json(smaller)},
        )  # fmt: skip
    memory(2**40)
    assert fitted(RECIPE, data, (), tmp_path / "run", None, True) == smaller
    memory(2**20)
    with pytest.raises(kc.errors.InputError, match="^the run takes about .* GiB, and 0.0 GiB of memory are free; end "):
        fitted(RECIPE, data, (), tmp_path / "run", None, True)


@pytest.mark.long
def test_as_many_epochs_as_fit_into_the_minutes_are_trained(data, tmp_path, capsys):
    one, four = (fitted(RECIPE, data, (), tmp_path / "run", minutes, False).training.epochs for minutes in (0.5, 2))
    assert 2 < four / one < 8
    assert f"--minutes 2: {four} epochs" in capsys.readouterr().err


def test_sizes_for_which_the_minutes_leave_no_epochs_are_an_error(data, tmp_path, monkeypatch):
    monkeypatch.setattr(duration, "epochs_within", lambda *arguments, **options: 2)  # how fast a machine is is no test
    recipe = dataclasses.replace(RECIPE, size_schedule=(24, 26, 28))
    with pytest.raises(UsageError, match="^minutes is 1, in which 2 epochs fit, fewer than there are sizes in size_sc"):
        fitted(recipe, data, (), tmp_path / "run", 1.0, False)


def test_the_temperature_is_chosen_on_validation_images_by_the_recipes_views(data, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(evaluation, "calibrate", lambda model, examples, tta: asked.append((examples, tta)) or {})
    recipe = ImageRecipe(model="mlp", data="synthetic", tta="flip", training=kc.Recipe(epochs=1, precision="float32"))
    train("images", recipe, data, (), tmp_path / "run", resume=False)
    assert asked == [(data.validation, "flip")]


def test_the_seed_of_the_recipe_draws_the_weights(data, tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(kc, "fit", lambda model, *_, **__: begun.append(model.get_layer("logits").kernel.numpy()))
    for seed in (0, 0, 1):
        recipe = dataclasses.replace(RECIPE, training=dataclasses.replace(RECIPE.training, seed=seed))
        train("images", recipe, data, (), tmp_path / "run", resume=False)
    np.testing.assert_array_equal(begun[0], begun[1])
    assert np.abs(begun[0] - begun[2]).max() > 1e-3


def test_a_run_goes_on_with_the_schedule_that_the_minutes_gave_it(data, tmp_path):
    started = dataclasses.replace(
        RECIPE.training, epochs=3, warmup_epochs=0.5, schedule="step", decay_every=2, decay_epochs=(1, 2)
    )
    asked = dataclasses.replace(RECIPE.training, schedule="step", decay_epochs=(4, 8), warmup_epochs=2.0)
    with pytest.raises(KeyboardInterrupt):
        kc.fit(
            untrained(RECIPE.model, data), data, started, folder=tmp_path, callbacks=[Stop()],
            metadata={"recipe": as_json(dataclasses.replace(RECIPE, training=started))},
        )  # fmt: skip
    resumed = fitted(dataclasses.replace(RECIPE, training=asked), data, (), tmp_path, 7.0, False).training
    assert resumed == started


def test_finetune_augments_calibrates_and_looks_at_the_memory_of_its_second_stage(tmp_path, monkeypatch):
    """What the command hands over to the library; that itself is tested in tests/classification."""
    handed, looked_at = {}, []

    def finetune(network, data, recipe, out, **options):
        handed.update(options, recipe=recipe, data=data)

    monkeypatch.setattr("kerascnn.classification.finetuning.finetune", finetune)
    monkeypatch.setattr(
        "kerascnn.training.free_memory.check_memory", lambda build, recipe, resumed: looked_at.append(build())
    )
    kc.models.lenet5((28, 28, 1), 10).save(tmp_path / "model.keras")
    recipe = FinetuneRecipe(
        data="synthetic", backbone=str(tmp_path), blocks=1, random_crop=2, tta="flip", horizontal_flip="none",
    )  # fmt: skip
    transfer.finetune("images", recipe, None, tmp_path / "run", False)
    assert handed["recipe"].training.augmentations == (kc.augmentation.RandomCrop(padding=2, fill="reflect"),)
    (second,) = looked_at
    assert [layer.name for layer in second.layers if layer.trainable_weights] == ["embedding", "logits"]
    asked = []
    monkeypatch.setattr("kerascnn.classification.evaluation.calibrate", lambda *given: asked.append(given) or {})
    transfer.finetune("images", recipe, None, tmp_path / "run", False)
    handed["conclude"]("trained")
    assert asked == [("trained", handed["data"].validation, "flip")]


def test_check_splits_resizes_and_groups_as_it_is_asked(tmp_path, monkeypatch, data, command):
    """What the command hands over to the library; that itself is tested in tests/classification."""
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(20):
            image = np.random.default_rng(number).integers(0, 256, (40, 40, 3), np.uint8)
            cv2.imwrite(str(tmp_path / "photos" / name / f"{number // 2}-{number % 2}.png"), image)
    (tmp_path / "run").mkdir()
    kc.models.resnet20((32, 32, 3), 2).save(tmp_path / "run" / "model.keras")
    handed = {}

    def check_images(data, backbone, **resize):
        handed.update(resize, data=data, backbone=backbone)
        return {"summary": {"files": 40}}

    monkeypatch.setattr("kerascnn.classification.data_check.check_images", check_images)
    monkeypatch.setattr("kerascnn.classification.data_report.write_report", lambda *_: None)
    monkeypatch.setattr("kerascnn.classification.preprocessing.resize_of", lambda folder: {"crop_ratio": 0.9})
    flags = ("--group-by", r"(\d+)-", "--backbone", tmp_path / "run", "--out", tmp_path / "report")
    assert command("check", tmp_path / "photos", *flags)[0] == 0
    assert (handed["crop_ratio"], handed["backbone"].name) == (0.9, "resnet20")
    groups = [{name.partition("-")[0] for name in split.names} for split in (handed["data"].train, handed["data"].test)]
    assert not groups[0] & groups[1]


def test_training_does_not_begin_where_finetune_stopped(data, tmp_path):
    (tmp_path / "head").mkdir()
    with pytest.raises(
        UsageError, match=f"^folder {tmp_path} holds an unfinished run of another recipe; choose another"
    ):
        train("images", RECIPE, data, (), tmp_path, resume=True)


@pytest.mark.parametrize(("model", "rate"), [("five_layer_cnn", 0.01), ("resnet20", 0.1)])
def test_networks_without_batch_normalization_learn_at_a_tenth_of_the_rate(model, rate, data, caplog):
    caplog.set_level("INFO")
    usual = ImageRecipe(model=model)
    found = at_usual_rate(usual, data)
    assert found.training.learning_rate == pytest.approx(rate)
    same = dataclasses.replace(found.training, learning_rate=usual.training.learning_rate)
    assert dataclasses.replace(found, training=same) == usual
    assert ("has no batch normalization: learning_rate is 0.01 unless another one is given" in caplog.text) == (
        rate < 0.1
    )


def test_weights_for_colours_are_not_taken_for_grey_images():
    recipe = FinetuneRecipe(model="resnet18", weights="hub", data="mnist")
    with pytest.raises(
        UsageError,
        match="^weights is hub, for images of 3 channels, and mnist has 1; give photos, or a backbone that w",
    ):
        published(recipe, (28, 28, 1), 10)
