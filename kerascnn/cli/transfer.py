"""The commands around trained networks: finetune, features and neighbors.

TensorFlow and Keras are imported inside the commands, after everything that can be checked without them.
"""

import contextlib
import dataclasses
from pathlib import Path

from kerascnn.cli.folders import RUNS, shipped, trained_run
from kerascnn.cli.messages import note, result
from kerascnn.errors import InputError, UsageError
from kerascnn.files import write_aside, write_json, writing_to
from kerascnn.model_names import NETWORKS
from kerascnn.tensorflow_setup import load_tensorflow
from kerascnn.training.recipe import as_json

HUB = "hub"  # in place of the file of published weights


def finetune(app, recipe, data_dir, out, resume):
    """Train a network on the data of a FinetuneRecipe, from the backbone that it names, into the folder `out`."""
    from kerascnn.classification.data import FIELDS, check_asked, load_images, resolved
    from kerascnn.classification.recorded_data import split_names

    check_asked(recipe, out)
    recipe = with_backbone(app, recipe)
    load_tensorflow()
    from kerascnn.analysis.summary import symbolic_model
    from kerascnn.classification.augmentation import augmentations
    from kerascnn.classification.evaluation import calibrate
    from kerascnn.classification.finetuning import finetune, freeze_all_but, trained_layers
    from kerascnn.classification.preprocessing import resize_of
    from kerascnn.cli.progress import Progress
    from kerascnn.pretrained.conventions import usual_resize
    from kerascnn.training.free_memory import check_memory
    from kerascnn.training.run_folder import load_model, main_head

    network = main_head(load_model(recipe.backbone)) if recipe.backbone else None
    if network and network.name not in NETWORKS:
        words = f"backbone {recipe.backbone} is {network.name}, which is no network of kerascnn.models"
        raise UsageError(f"{words}; freeze layers yourself (layer.trainable = False) and call kc.fit")
    own = network.input_shape[1:3] if network else NETWORKS[recipe.model].input_shape[:2]
    recipe = dataclasses.replace(
        recipe,
        model=network.name if network else recipe.model,
        image_size=recipe.image_size or own[0] or 224,
        data=resolved(recipe.data),
    )
    # of published weights that were saved in Python there is no run either
    resize = (network and resize_of(recipe.backbone)) or usual_resize(recipe.model, own[0] or 224)
    resize = {name: value for name, value in resize.items() if getattr(recipe, name) is None}
    recipe = dataclasses.replace(recipe, **resize)
    data = load_images(**{name: getattr(recipe, name) for name in FIELDS}, data_dir=data_dir)
    changes = augmentations(recipe, data)
    network = network or published(recipe, data.train.image_shape, len(data.class_names))

    def second_stage():
        model = main_head(symbolic_model(recipe.model, data.train.image_shape, len(data.class_names)))
        freeze_all_but(model, trained_layers(model, recipe))
        return model

    if recipe.stages == 2:
        check_memory(second_stage, recipe.training, resumed=(out / "checkpoint.npz").is_file())
    metadata = {"recipe": as_json(recipe), "app": app, "class_names": data.class_names}
    training = dataclasses.replace(recipe.training, augmentations=changes)
    with contextlib.closing(Progress()) as progress:
        finetune(
            network, data, dataclasses.replace(recipe, training=training), out, resume=resume, callbacks=[progress],
            conclude=lambda trained: calibrate(trained, data.validation, recipe.tta),
            metadata=metadata | ({"split": split} if (split := split_names(data, recipe.data)) else {}),
        )  # fmt: skip


def with_backbone(app, recipe):
    """The recipe with the place of its backbone, by default the newest run. Raises where there is none."""
    if recipe.weights == HUB:
        return recipe
    if recipe.weights:
        if not Path(recipe.weights).is_file():
            raise InputError(f"no file {recipe.weights}; check the path of --weights")
        return dataclasses.replace(recipe, weights=str(Path(recipe.weights).resolve()))
    if recipe.model:
        words = f"model is {recipe.model!r}, and a backbone says itself which network it is"
        raise UsageError(f"{words}; leave it out, or give --weights of that network", argument="model")
    place = Path(recipe.backbone or trained_run(app, None))
    if (own := shipped(app)) and place.resolve() == own and recipe.stages == 1:
        note("note: it has seen small photos of other classes; with --blocks 1 it learns most of yours better")
    if not (place / "model.keras" if place.is_dir() else place).is_file():
        raise InputError(f"no trained model at {place}; train one first, or name another run with --backbone")
    return dataclasses.replace(recipe, backbone=str(place.resolve()))


def published(recipe, shape, classes):
    """The network recipe.model for such images with the weights in the file recipe.weights, or from the hub."""
    import kerascnn as kc

    if shape[2] != (channels := NETWORKS[recipe.model].input_shape[2]):
        words = f"weights is {recipe.weights}, for images of {channels} channels, and {recipe.data} has {shape[2]}"
        raise UsageError(f"{words}; give photos, or a backbone that was trained on such images", argument="weights")
    network = kc.models.builder(recipe.model)(shape, classes)
    try:
        kc.load_weights(network, None if recipe.weights == HUB else recipe.weights)
    except UsageError as error:
        if recipe.weights == HUB and error.argument is None:  # its client is not installed
            raise UsageError(f"weights is {HUB}{str(error).removeprefix('file is None')}", argument="weights") from None
        if error.argument not in ("key", "statistics"):  # which are no flags
            raise
        words = f"weights is {recipe.weights}, and {str(error).partition('; ')[0]}"
        remedy = f"give kc.load_weights its {error.argument} in Python, save the network, and name that file"
        raise UsageError(f"{words}; {remedy} with --backbone", argument="weights") from None
    return network


def features(app, layers, split, data_dir, out):
    """Write what layers of the model in `out` answer to a split of its data; print where it lies.

    layers: their names. The folder `features` in `out` gets `<split>.npz`, an array a layer beside labels, class names
    and names of files, and the files of TensorBoard's projector.
    """
    model, data = trained_on(app, data_dir, out)
    import numpy as np

    from kerascnn.classification.features import extract_features
    from kerascnn.classification.inference import check_counted
    from kerascnn.classification.projector import write_projector

    examples = split_of(data, split)
    found, labels, counted = extract_features(model, examples, layers)
    check_counted(counted, examples)
    found, labels, examples = {name: f[counted] for name, f in found.items()}, labels[counted], examples.take(counted)
    names = getattr(examples, "names", None)
    place = out / "features" / f"{split}.npz"
    stored = {**found, "labels": labels, "class_names": data.class_names, **({} if names is None else {"names": names})}
    with writing_to(place.parent):
        place.parent.mkdir(parents=True, exist_ok=True)
        write_aside(place, lambda path: np.savez(path, **stored))
        write_projector(place.parent / split, found, examples, data.class_names, names)
    note(f"see them with: tensorboard --logdir {place.parent / split}")
    shapes = {name: list(array.shape[1:]) for name, array in found.items()}
    result({"features": str(place), "projector": str(place.parent / split), "examples": len(labels), "layers": shapes})


def neighbors(app, layer, count, queries, data_dir, out):
    """Find for every test image the nearest training images, by pixels and by a layer's features; print recall@k.

    The run folder gets `neighbors.json` and `neighbors.png`, which shows `queries` test images.
    """
    model, data = trained_on(app, data_dir, out)
    import numpy as np

    from kerascnn.classification.neighbors import compare_spaces, plot_neighbors

    test, gallery = split_of(data, "test"), split_of(data, "train")
    report, test, gallery, found = compare_spaces(model, test, gallery, layer, count)
    shown = np.linspace(0, len(test) - 1, min(queries, len(test))).astype(int)
    with writing_to(out):
        write_json(out / "neighbors.json", report)
        drawn = {space: indices[shown] for space, indices in found.items()}
        plot_neighbors(test.take(shown), drawn, gallery, data.class_names, out / "neighbors.png")
    result({name: value for name, value in report.items() if name != "neighbors"})


def trained_on(app, data_dir, out):
    """(the trained model in `out`, the Dataset that it was trained on)."""
    load_tensorflow()
    from kerascnn.classification.data import FIELDS
    from kerascnn.classification.recorded_data import below_source, load_tested
    from kerascnn.training.record import recorded_in
    from kerascnn.training.run_folder import load_trained, warn_of_other_data

    model, record = load_trained(out, RUNS[app])
    with recorded_in(out, (*FIELDS, "name")):
        data = load_tested(record, data_dir)
    warn_of_other_data(record, data)
    source, splits = record["recipe"]["data"], ("train", "validation", "test")
    return model, dataclasses.replace(data, **{name: below_source(getattr(data, name), source) for name in splits})


def split_of(data, split):
    """The examples of a split. Raises UsageError where the data have none."""
    if not (examples := getattr(data, split)):
        has = [name for name, count in data.counts().items() if count]
        words = f"split is {split}, which the data have not, but {', '.join(has)}"
        raise UsageError(f"{words}; choose one of these, or other data", argument="split")
    return examples
