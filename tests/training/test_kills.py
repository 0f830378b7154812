"""Trainings that are killed at random moments, again and again, end as those that were left alone, bit for bit."""

import csv
import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

KILLS = {"streamed photos": 13, "tumors": 12, "digits": 13, "own train_step": 12}  # 50
KILLS_OF_A_RUN = 4  # after these it may end
PROCESSES = multiprocessing.get_context("forkserver")


def photos(folder):
    """30 files of two classes beside the run folder, made once."""
    import cv2

    root = folder.parent / "photos"
    for number in range(30):
        path = root / "ab"[number % 2] / f"{number}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            image = np.random.default_rng(number).integers(0, 256, (20, 24, 3), np.uint8)
            cv2.imwrite(str(path), image)
    return root


def train_streamed(folder):
    import keras

    from kerascnn.classification.training import loss_and_metrics
    from kerascnn.datasets.augmentation import Distortion
    from kerascnn.datasets.image_folder import image_folder
    from kerascnn.training.fit import fit
    from kerascnn.training.recipe import Recipe

    recipe = Recipe(epochs=6, batch_size=4, deterministic=True, augmentations=(Distortion(shift=2),), ema=0.9)
    data = image_folder(photos(folder), (16, 16))
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Dropout(0.3)(keras.layers.Flatten()(image))
    model = keras.Model(image, keras.layers.Dense(2, name="logits")(x), name="network")
    fit(model, data, recipe, folder=folder, **loss_and_metrics(recipe))


def train_tumors(folder):
    from kerascnn.training.recipe import Recipe
    from kerascnn.tumors import phantoms
    from kerascnn.tumors.recipes import TumorRecipe
    from kerascnn.tumors.training import train

    training = Recipe(epochs=4, batch_size=16, deterministic=True, optimizer="adamw", ema=0.9)
    recipe = TumorRecipe(model="unet", width=2, depth=2, data="phantoms", image_size=32, training=training)
    train(recipe, phantoms.load(), folder, resume=True)


def train_digits(folder):
    import keras

    from kerascnn.classification.training import loss_and_metrics, untrained
    from kerascnn.datasets.synthetic import load
    from kerascnn.digits.augmentation import augmentations
    from kerascnn.digits.recipes import LENET5
    from kerascnn.training.fit import fit

    training = replace(LENET5.training, epochs=6, deterministic=True, precision="float32")
    recipe, data = replace(LENET5, model="mlp", training=training), load("synthetic", None)
    keras.utils.set_random_seed(training.seed)
    given = replace(training, augmentations=augmentations(recipe))
    fit(untrained("mlp", data), data, given, folder=folder, **loss_and_metrics(training))


def train_own_step(folder):
    import keras

    from kerascnn.training.fit import fit
    from kerascnn.training.recipe import Recipe
    from tests.training.runs import TRAIN, VALIDATION, own

    keras.utils.set_random_seed(0)
    fit(own(), (TRAIN, VALIDATION), Recipe(epochs=8, batch_size=32, deterministic=True), folder=folder)


TRAININGS = {
    "streamed photos": train_streamed,
    "tumors": train_tumors,
    "digits": train_digits,
    "own train_step": train_own_step,
}


def start(name, folder):
    """The process that trains; the server that it is forked from has imported everything."""
    PROCESSES.set_forkserver_preload(["kerascnn", "kerascnn.training.fit", "kerascnn.digits.preprocessing"])
    process = PROCESSES.Process(target=TRAININGS.get(name, str), args=(folder,))
    process.start()
    return process


def result(folder):
    """What a finished run says, without times: arrays by name, rows of the history, and what was chosen."""
    from tests.training.test_resuming import weights

    with open(folder / "history.csv") as file:
        rows = [{name: value for name, value in row.items() if "second" not in name} for row in csv.DictReader(file)]
    record = json.loads((folder / "recipe.json").read_text())
    chosen = {name: record.get(name) for name in ("best_epoch", "epochs_run", "validation", "settings_tried")}
    return weights(folder), rows, chosen


def run_whole(name, folder):
    """Seconds that the training takes by itself."""
    start("nothing", folder).join()  # the server has to import everything once
    started = time.perf_counter()
    process = start(name, folder)
    process.join()
    assert process.exitcode == 0
    return time.perf_counter() - started


def run_killed(name, folder, draw, seconds):
    """Train to the end, killed up to KILLS_OF_A_RUN times at moments drawn over so many seconds; how often it was."""
    kills = 0
    while True:
        process = start(name, folder)
        process.join(draw.uniform(0, seconds) if kills < KILLS_OF_A_RUN else None)
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills += 1
            if (folder / "recipe.json").exists():  # it had finished, and only the process had not ended
                return kills
        else:
            assert process.exitcode == 0
            return kills


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_that_is_killed_again_and_again_ends_as_one_that_is_not(name, tmp_path):
    draw = np.random.default_rng(0)
    seconds = run_whole(name, tmp_path / "whole")
    arrays, *said = result(tmp_path / "whole")
    kills, run = 0, 0
    while kills < int(os.environ.get("KILLS", KILLS[name])):
        run += 1
        folder, started = tmp_path / f"killed{run}", time.perf_counter()
        more = run_killed(name, folder, draw, seconds)
        kills += more
        if not more:  # the machine has less to do than at first
            seconds = min(seconds, time.perf_counter() - started)
        found, *other = result(folder)
        assert other == said
        assert found.keys() == arrays.keys()
        for place, array in arrays.items():
            np.testing.assert_array_equal(found[place], array, err_msg=place)
        left = {path.name for path in folder.iterdir()} - {path.name for path in Path(tmp_path / "whole").iterdir()}
        assert left <= {"checkpoint.npz", ".lock"}  # of a kill behind recipe.json, which nothing goes on from
