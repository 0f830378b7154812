"""Transfer learning: a trained network as the backbone of one for other classes.

First the head alone learns, on features of the frozen backbone that are computed once; then, where a recipe asks for
it, the last blocks learn on, at a smaller rate (Yosinski et al., "How transferable are features in deep neural
networks?", 2014, arXiv:1411.1792: the first layers fit any photos, the last ones their own task). Frozen layers stay as
they are, statistics of batch normalization among them: Keras runs such layers in inference mode.
"""

import dataclasses
import hashlib
import logging
import re
from pathlib import Path

import keras
import numpy as np

from kerascnn import models
from kerascnn.classification.features import extract_features
from kerascnn.classification.recipes import FinetuneRecipe
from kerascnn.classification.training import loss_and_metrics
from kerascnn.datasets.batches import full_batches, scaled
from kerascnn.datasets.examples import Dataset, Examples
from kerascnn.datasets.image_files import vanished_files_named
from kerascnn.errors import UsageError
from kerascnn.model_names import NETWORKS
from kerascnn.training.checks import check_decodes, check_folder, check_updates
from kerascnn.training.fit import fit
from kerascnn.training.layer_rates import factors, parse_layer_rate
from kerascnn.training.recipe import as_json
from kerascnn.training.record import read_record, section
from kerascnn.training.run_folder import check_same_run, load_model, main_head

logger = logging.getLogger(__name__)

BLOCK = re.compile(r".*?_block\d+|(inception|reduction)_[a-z]\d*|[^_]+")


def finetune(backbone, data, recipe, folder, *, resume=True, metadata=None, **options):
    """Train a network for the classes of `data` that begins as `backbone`; (the network, its Run).

        network, run = finetune(kc.load_model("runs/cifar"), data, REGIMES["medium"], "runs/mine")

    backbone: a network of kerascnn.models, trained; it stays as it is. data: a Dataset. recipe: a FinetuneRecipe, of
    which training, blocks, freeze_until, second_epochs, backbone_rate and horizontal_flip are used; augmentations of
    the second stage are training.augmentations alone. The weights of the new head are drawn with training.seed, to
    which Keras's global seed is set. resume, metadata,
    options: as kerascnn.training.fit takes them; callbacks see the epochs of both stages. Of two stages the first one
    has a run folder of its own, `head` in `folder`, with the network as it is then.

    Raises UsageError where the backbone does not take such images or has no such layer, or has a head without weights
    that learn, and what fit raises.
    """
    for value, name, kind in (
        (backbone, "backbone", keras.Model),
        (data, "data", Dataset),
        (recipe, "recipe", FinetuneRecipe),
    ):
        if not isinstance(value, kind):
            raise UsageError(f"{name} is {type(value).__name__}; give a {kind.__name__}", argument=name)
    folder, training = Path(folder), recipe.training
    first = folder / "head"
    began = (first / "recipe.json").is_file()  # the second stage
    network = with_new_head(backbone, data.train.image_shape, len(data.class_names), training.seed)
    own = {"recipe": as_json(recipe), "data": data.metadata()} | (metadata or {})
    metadata = own | {"backbone": described(backbone, network)}
    options = {**loss_and_metrics(training), **options, "resume": resume, "metadata": metadata}
    trained = checked_second_stage(network, data, recipe) if recipe.stages == 2 else []
    begun = (folder / "checkpoint.npz").exists() and not began
    of_other_stages = begun if recipe.stages == 2 else first.exists()
    if of_other_stages:
        raise UsageError(f"folder {folder} holds an unfinished run of another recipe; choose another folder")
    check_folder(folder, began or begun, resume)
    with vanished_files_named(data.train, data.validation):
        check_decodes(data.train, data.validation)
    if recipe.stages == 1:
        return network, train_head(network, data, recipe, folder, options)
    if not began:
        train_head(network, data, recipe, first, {**options, "conclude": None})
    recorded, compared = read_record(first), ("recipe", "data", "backbone")
    check_same_run(folder, *({name: section(record, name) for name in compared} for record in (recorded, metadata)))
    # where nothing was interrupted, too, so that what follows is the same; seeds of dropout are not in the file
    keras.utils.set_random_seed(training.seed)
    network = load_model(first)
    freeze_all_but(network, trained)
    return network, fit(network, data, second_stage(recipe, trained), folder=folder, **options)


def checked_second_stage(network, data, recipe):
    """The layers that train in the second stage; raises for what that cannot do, before the first one has trained."""
    trained = trained_layers(network, recipe)
    second = second_stage(recipe, trained)
    check_updates(second, full_batches(len(data.train), second.batch_size))
    variables = [v for name in (*trained, "logits") for v in network.get_layer(name).trainable_variables]
    factors([variable.path for variable in variables], recipe.training.layer_rates)
    return trained


def described(backbone, network):
    """What recipe.json says of a backbone, whose layers `network` has but for the head: its name and a hash of these.

    Features of other weights would be learnt on, unnoticed, where a run is resumed.
    """
    normalize = network.get_layer("normalize").get_config()
    digest = hashlib.sha256(repr([normalize.get(name) for name in ("scale", "offset")]).encode())
    for layer in network.layers:
        for array in layer.get_weights() if layer.name != "logits" else ():
            digest.update(array.tobytes())
    return {"name": backbone.name, "sha256": digest.hexdigest()}


def with_new_head(backbone, image_shape, num_classes, seed=0):
    """The network `backbone` for images (H, W, C) and so many classes: its layers, and a head as its builder draws it.

    The size of the images may differ from the backbone's where the network is globally pooled, or only its head depends
    on it. Raises UsageError where it is no network of kerascnn.models or its layers do not fit such images.
    """
    keras.utils.set_random_seed(seed)
    network = None
    if backbone.name in NETWORKS:
        network = main_head(models.builder(backbone.name)(image_shape, num_classes))
    if network is None or not has_layers_of(backbone, network):
        words = f"backbone is {backbone.name}, which is no network of kerascnn.models"
        raise UsageError(
            f"{words}; freeze layers yourself (layer.trainable = False) and call kc.fit", argument="backbone"
        )
    if not network.get_layer("logits").trainable_weights:
        words = f"backbone is {backbone.name}, whose head has no weights that learn"
        raise UsageError(f"{words}; choose another network", argument="backbone")
    for layer in network.layers:
        if layer.weights and layer.name != "logits":
            given = backbone.get_layer(layer.name).get_weights()
            check_shapes(backbone, layer, given, image_shape)
            layer.set_weights(given)
    if isinstance(normalize := network.get_layer("normalize"), keras.layers.Rescaling):
        of_backbone = backbone.get_layer("normalize")
        normalize.scale, normalize.offset = of_backbone.scale, of_backbone.offset
    return network


def has_layers_of(backbone, network):
    """Whether a backbone of the network's name has its layers, too; some of keras.applications have the same name."""
    counts = {layer.name: len(layer.weights) for layer in backbone.layers}
    wanted = [layer for layer in network.layers if layer.weights or layer.name == "normalize"]
    return all(counts.get(layer.name) == len(layer.weights) for layer in wanted)


def check_shapes(backbone, layer, given, image_shape):
    """Raise UsageError unless the weights `given` are of the shapes that `layer` has for images of this shape."""
    own, remedy = tuple(backbone.input_shape[1:]), "give a network of its builder's own widths"
    if None not in own and own != tuple(image_shape):
        remedy = f"give images of {own}"
    for was, now in zip((array.shape for array in given), (tuple(w.shape) for w in layer.weights), strict=True):
        if was != now:
            words = f"backbone {backbone.name} has {layer.name} of {was}, which is of {now} for images of {image_shape}"
            raise UsageError(f"{words}; {remedy}", argument="backbone")


def train_head(network, data, recipe, folder, options):
    """Train the layers behind `embedding` on features of the training images that are computed once; the Run."""
    embedding = network.get_layer("embedding").output
    head = keras.Model(embedding, network.output, name=f"{network.name}_head")
    views = [scaled, flipped] if recipe.horizontal_flip != "none" else [scaled]
    train = features_of(network, data.train, views)
    validation = data.validation and features_of(network, data.validation, [scaled])
    logger.info("features of %d images, %d numbers each, are computed", len(train), train.image_shape[0])
    rates = recipe.training.layer_rates
    if recipe.stages == 2:  # in which they may name other layers, too
        rates = tuple(rate for rate in rates if parse_layer_rate(rate)[0] == "logits")
    training = dataclasses.replace(recipe.training, augmentations=(), layer_rates=rates)
    return fit(head, (train, validation), training, folder=folder, network=network, **options)


def features_of(network, examples, views):
    """Examples of the features float32 (N, F) of images and their views, with the labels and weights of these."""
    features, labels, counted = zip(*[extract_features(network, examples, preprocess=v) for v in views], strict=True)
    weights = np.float32(1 if examples.weights is None else examples.weights) * np.array(counted, np.float32)
    return Examples(np.concatenate([f["embedding"] for f in features]), np.concatenate(labels), weights.ravel())


def flipped(images):
    """uint8 (B, H, W, C) -> float32 in [0, 1], left to right."""
    return scaled(images)[:, :, ::-1]


def blocks(network):
    """{name of a block: names of its layers} in order, of the layers with weights below the head.

    A block is what the beginning of its layers' names says: stage3_block2 of stage3_block2_conv1, conv5, inception5b.
    """
    found = {}
    for layer in network.layers:
        if layer.weights and layer.name != "logits":
            found.setdefault(BLOCK.match(layer.name)[0], []).append(layer.name)
    return found


def trained_layers(network, recipe):
    """The names of the layers of the backbone that train in the second stage. Raises UsageError where there are none.

    A layer that it freezes until is frozen with all that it depends on. Layers that the builder does not train stay as
    they are.
    """
    names = [layer.name for layer in network.layers]
    if until := recipe.freeze_until:
        if until not in names:
            words = f"freeze_until is {until!r}, which is no layer of {network.name}"
            raise UsageError(f"{words}; choose one of {', '.join(names[1:-1])}", argument="freeze_until")
        before = keras.Model(network.inputs, network.get_layer(until).output).layers  # and that layer itself
        behind = set(names) - {layer.name for layer in before}
    else:
        behind = [name for block in list(blocks(network).values())[-recipe.blocks :] for name in block]
    found = [layer.name for layer in network.layers if layer.trainable_weights and layer.name in behind]
    if not (found := [name for name in found if name != "logits"]):
        words = f"freeze_until is {until!r}, and no layer between it and the head has weights"
        raise UsageError(f"{words}; name an earlier one, or choose the regime small", argument="freeze_until")
    return found


def freeze_all_but(network, names):
    """Make all layers with weights but these and the head not trainable."""
    for layer in network.layers:
        if layer.weights and layer.name not in (*names, "logits"):
            layer.trainable = False


def second_stage(recipe, trained):
    """The Recipe of the second stage: its epochs, and the rates of the layers that train, the user's last."""
    rates = tuple(f"{name}={recipe.backbone_rate:g}" for name in trained)
    training = recipe.training
    return dataclasses.replace(training, epochs=recipe.second_epochs, layer_rates=(*rates, *training.layer_rates))
