"""A network trained on CIFAR-10 as the backbone for ten other classes of 40 photos: is it worth more than none?

    python benchmarks/transfer.py PHOTOS --backbone runs/cifar_fast-0 [--splits 5] [--image-size 32]

PHOTOS: a folder with a sub-folder per class. Of the photos of each class 10 % are for the test and 10 % for validation,
drawn anew for each split. On each split are trained: `scratch`, the backbone's network with fresh weights, all layers,
by Adam at 1e-3 with flips and random crops; `frozen`, its new head alone (--regime small); `finetuned`, its last block,
too. The epoch of the lowest validation loss is kept. stdout: one JSON object with the test accuracies, their mean and
standard deviation, and the seconds that the last stage of a run trained.
"""

import dataclasses
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cyclopts import App

from kerascnn.classification.recipes import REGIMES
from kerascnn.cli.app import run
from kerascnn.cli.messages import note, result
from kerascnn.tensorflow_setup import load_tensorflow

KINDS = ("scratch", "frozen", "finetuned")
EPOCHS = {"scratch": 30, "finetuned": 10}

app = App(help=__doc__, result_action="return_value")


def trained(kind, backbone, data, seed, folder):
    """(the network, its Run) of one kind on one split."""
    import keras

    import kerascnn as kc
    from kerascnn.classification.augmentation import augmentations
    from kerascnn.classification.finetuning import finetune
    from kerascnn.classification.training import untrained

    recipe = REGIMES["small"] if kind == "frozen" else REGIMES["medium"]
    training = dataclasses.replace(recipe.training, seed=seed, augmentations=augmentations(recipe, data))
    if kind == "scratch":
        keras.utils.set_random_seed(seed)
        network = untrained(backbone.name, data)
        training = dataclasses.replace(training, epochs=EPOCHS[kind], learning_rate=1e-3)
        return network, kc.fit(network, data, training, folder=folder, verbose=0)
    blocks = 1 if kind == "finetuned" else 0
    recipe = dataclasses.replace(recipe, training=training, blocks=blocks, second_epochs=EPOCHS["finetuned"])
    return finetune(backbone, data, recipe, folder)


@app.default
def main(photos: Path, *, backbone: Path, splits: int = 5, image_size: int = 32):
    load_tensorflow()
    from machine import machine

    import kerascnn as kc

    network = kc.load_model(backbone)
    accuracies, seconds = {kind: [] for kind in KINDS}, {kind: [] for kind in KINDS}
    for seed in range(splits):
        data = kc.datasets.image_folder(photos, (image_size, image_size), seed=seed)
        for kind in KINDS:
            with tempfile.TemporaryDirectory() as folder:
                model, training = trained(kind, network, data, seed, folder)
            accuracies[kind].append(kc.evaluate(model, data.test)["accuracy"])
            seconds[kind].append(training.record["training_seconds"])
            note(f"split {seed}, {kind}: {accuracies[kind][-1]:.3f} after {seconds[kind][-1]:.0f} s")
    figures = {
        kind: {
            "accuracy": round(statistics.mean(values), 4),
            "accuracy_sd": round(statistics.stdev(values), 4) if splits > 1 else 0.0,
            "accuracies": values,
            "seconds": round(statistics.mean(seconds[kind]), 1),
        }
        for kind, values in accuracies.items()
    }
    result(
        {
            "backbone": str(backbone),
            "network": network.name,
            "image_size": image_size,
            "splits": splits,
            **figures,
            **machine(),
        }
    )


if __name__ == "__main__":
    run(app)
