"""How a network is trained, as one flat table: the fields that training.fit understands.

A task's recipe holds a Recipe as its field `training`, beside its model and data. What is in it stands in `recipe.json`
and is compared when a run is resumed. Nothing heavy is imported here.
"""

import ast
import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from numbers import Integral, Real
from types import UnionType
from typing import Literal, Union, get_args, get_origin

from kerascnn.errors import UsageError
from kerascnn.training.layer_rates import parse_layer_rate

MOST = 1_000_000  # of epochs and images
LARGEST = 3e38  # of a rate: about what float32 holds
# what Keras says of one layer and not of another that is made alike
OF_ONE_OBJECT = ("name", "seed", "build_config", "build_input_shape")
WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "a text"}
# the smallest and the largest value of each number; nan is outside, and infinity
RANGES = {
    **dict.fromkeys(("epochs", "batch_size", "decay_every", "accumulate"), (1, MOST)),
    "warmup_epochs": (0, MOST),
    **dict.fromkeys(("momentum", "decay_factor"), (0, 1)),
    **dict.fromkeys(("label_smoothing", "ema"), (0, 0.999999)),  # 1 would learn nothing
    **dict.fromkeys(("learning_rate", "weight_decay", "clip_norm"), (0, LARGEST)),
    **dict.fromkeys(("bias_learning_rate", "head_learning_rate"), (0, LARGEST)),
    **dict.fromkeys(("early_stopping", "seed"), (0, 2**32 - 1)),
}


# what one choice of a field alone takes
OF_ONE_CHOICE = {
    "optimizer": ("bias_learning_rate", "head_learning_rate", "coupled_weight_decay", "nesterov"),
    "schedule": ("decay_epochs",),
}


def explained(kind):
    """The class, with the texts under its fields in its docstring, too, where help() shows them."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    texts = [
        f"    {field.target.id}: {ast.literal_eval(text.value)}"
        for field, text in itertools.pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
    ]
    kind.__doc__ = "\n".join([kind.__doc__.rstrip(), "", *texts, "    "])
    return kind


@explained
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train.

        recipe = kc.Recipe(epochs=5, optimizer="adamw", weight_decay=0.05)

    Raises UsageError for a value that no training can use.
    """

    epochs: int = 10
    "How often the training images are seen."
    batch_size: int = 128
    "Images per step."
    optimizer: Literal["sgd", "adam", "adamw", "adagrad", "rmsprop", "muon"] = "adam"
    "SGD is the one with momentum; muon takes SGD for all but kernels of hidden layers."
    learning_rate: float = 1e-3
    "The highest learning rate of the run."
    bias_learning_rate: float | None = None
    "Under muon: the highest one of biases and normalization; default: learning_rate."
    head_learning_rate: float | None = None
    "Under muon: the highest one of the output layer's kernel; default: learning_rate."
    layer_rates: tuple[str, ...] = ()
    """NAME=FACTOR: what the learning rate is multiplied by in layers that are called NAME or NAME_…; the last one
    counts."""
    momentum: float = 0.9
    "Momentum of sgd, rmsprop and muon."
    nesterov: bool = True
    "Under sgd: Nesterov's momentum; papers before 2013 and that of ResNet have the plain one."
    schedule: Literal["constant", "linear", "cosine", "step", "plateau"] = "cosine"
    "Linear and cosine fall to zero; step and plateau multiply by decay_factor."
    warmup_epochs: float = 0.0
    "Epochs over which the learning rate first rises from zero, at most half of them; not under plateau."
    decay_every: int = 10
    "Epochs between two decays of the step schedule; patience of the plateau schedule."
    decay_factor: float = 0.1
    "What the step and plateau schedules multiply the learning rate by."
    decay_epochs: tuple[int, ...] = ()
    "Epochs after which the step schedule decays, in place of every decay_every."
    weight_decay: float = 0.0
    "Decoupled weight decay; biases and the weights of batch normalization are left alone, but under muon."
    coupled_weight_decay: bool = False
    "Under sgd: weight decay goes through the momentum, as the gradient of an L2 penalty does."
    label_smoothing: float = 0.0
    "Share of the probability that is spread over all classes."
    clip_norm: float = 0.0
    "Largest norm of all gradients together; 0 does not clip."
    ema: float = 0.0
    "Momentum of the moving average of weights that is validated and kept; 0 keeps the weights themselves."
    early_stopping: int = 0
    "Epochs without a lower validation loss after which training ends; 0 never."
    accumulate: int = 1
    "Batches whose gradients are averaged into one update."
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16", "auto"] = "auto"
    """Type of the activations; auto is half precision where it is faster: on GPUs, and on CPUs with units for it where
    most of the work is in convolutions of at least 16 channels."""
    deterministic: bool = False
    "Bit-equal runs, at some cost in speed."
    tensorboard: bool = False
    "Write TensorBoard logs to `logs/` in the model folder."
    balance: Literal["none", "weights", "sampling"] = "none"
    "Weigh each example by how rare its class is, or show all classes alike often: rare ones more than once an epoch."
    augmentations: tuple[Callable, ...] = ()
    "What every batch goes through, one after the other; see kerascnn.datasets.augmentation."
    seed: int = 0
    "Seed of order and augmentation; apps draw weights and dropout with it, too."

    def __post_init__(self):
        for name in ("augmentations", "decay_epochs", "layer_rates"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        for field in fields(self):
            if isinstance(value := getattr(self, field.name), Integral | Real) and hasattr(value, "item"):
                object.__setattr__(self, field.name, value.item())  # NumPy's numbers
        check_fields(self, RANGES)
        for text in self.layer_rates:
            parse_layer_rate(text)
        self.check_optimizer()
        self.check_schedule()
        for augmentation in self.augmentations:
            if not callable(augmentation):
                words = f"augmentations holds {augmentation!r}, which cannot be called"
                raise UsageError(f"{words}; see kerascnn.augmentation", argument="augmentations")
            if isinstance(augmentation, type):
                words = f"augmentations holds the class {augmentation.__name__}"
                raise UsageError(f"{words}; give {augmentation.__name__}()", argument="augmentations")

    def check_optimizer(self):
        """Raise UsageError for what another optimizer than the chosen one takes."""
        for name in ("bias_learning_rate", "head_learning_rate"):
            if (rate := getattr(self, name)) is not None and self.optimizer != "muon":
                words = f"{name} is {rate:g}, and optimizer is {self.optimizer}"
                raise UsageError(f"{words}; leave it out, or choose the optimizer muon", argument=name)
            if rate and not self.learning_rate:
                words = f"{name} is {rate:g}, and learning_rate is 0, of which it is a multiple"
                raise UsageError(f"{words}; give a larger learning_rate", argument=name)
        for name, usual in (("coupled_weight_decay", False), ("nesterov", True)):
            if (value := getattr(self, name)) != usual and self.optimizer != "sgd":
                words = f"{name} is {value}, and optimizer is {self.optimizer}"
                raise UsageError(f"{words}; leave it out, or choose the optimizer sgd", argument=name)

    def check_schedule(self):
        """Raise UsageError for what another schedule than the chosen one takes, or none can use."""
        if self.decay_epochs and self.schedule != "step":
            words = f"decay_epochs is {self.decay_epochs}, and schedule is {self.schedule}"
            raise UsageError(f"{words}; leave it out, or choose the schedule step", argument="decay_epochs")
        epochs = list(self.decay_epochs)
        if not all(type(epoch) is int and 0 < epoch < self.epochs for epoch in epochs) or epochs != sorted(set(epochs)):
            words = f"decay_epochs is {self.decay_epochs}"
            raise UsageError(f"{words}; give rising epochs from 1 to {self.epochs - 1}", argument="decay_epochs")
        if self.schedule == "plateau" and self.decay_factor == 1:
            raise UsageError(
                "decay_factor is 1; give a smaller number, or choose the schedule constant", argument="decay_factor"
            )


def check_fields(recipe, ranges):
    """Raise UsageError unless every field of a dataclass holds one of its choices, or a value of its type and range.

    ranges: {name of a number's field: (smallest, largest)}. A whole number is a float, too; True and False are no
    numbers.
    """
    for field in fields(recipe):
        kind, value = field.type, getattr(recipe, field.name)
        if get_origin(kind) in (UnionType, Union):  # int | None, Literal[…] | None
            if value is None:
                continue
            kind = get_args(kind)[0]
        if get_origin(kind) is Literal:
            fits, remedy = value in get_args(kind), f"choose one of {', '.join(get_args(kind))}"
        else:
            items, kind = get_args(kind)[:1], get_origin(kind) or kind  # str, tuple of tuple[str, ...]
            fits = isinstance(value, int | float if kind is float else kind) and (kind is bool) == isinstance(
                value, bool
            )
            if fits and items and items[0] in WORDS:
                fits = all(isinstance(part, items[0]) for part in value)
            remedy = f"give {WORDS.get(kind, f'a {kind.__name__}')}"
            if field.name in ranges:
                low, high = ranges[field.name]
                fits = fits and low <= value <= high
                remedy += f" from {low} to {high}"
        if not fits:
            shown = f"{value:g}" if kind is float and isinstance(value, float) else value
            raise UsageError(f"{field.name} is {shown}; {remedy}", argument=field.name)


def as_json(value):
    """A recipe or a part of it in JSON types: a dict of its fields, without `augmentations` where there are none.

    A task's recipe says them in fields of its own.
    """
    if is_dataclass(value):
        parts = {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
        return {name: part for name, part in parts.items() if part or name != "augmentations"}
    if isinstance(value, tuple):
        return [described(part) if callable(part) else as_json(part) for part in value]
    return value.tolist() if hasattr(value, "tolist") else value  # NumPy's numbers and arrays


def described(augmentation):
    """An augmentation's name, with its fields or its configuration where it has any, JSON types.

    Of a layer of Keras without what differs each time that it is made, its name and its seed, or is known once it is
    called.
    """
    name = getattr(augmentation, "__qualname__", type(augmentation).__name__)
    if is_dataclass(augmentation):
        return {name: as_json(augmentation)}
    if not hasattr(augmentation, "get_config"):
        return name
    try:
        return {name: nameless(augmentation.get_config())}
    except NotImplementedError:  # Keras cannot tell of a layer that takes more than numbers and texts
        return name


def nameless(config):
    """What Keras says of a layer, but for OF_ONE_OBJECT."""
    if isinstance(config, dict):
        return {name: nameless(part) for name, part in config.items() if name not in OF_ONE_OBJECT}
    if isinstance(config, list | tuple):
        # a Sequential gets a layer of its input when it is called
        layers = [part for part in config if not (isinstance(part, dict) and part.get("class_name") == "InputLayer")]
        return [nameless(part) for part in layers]
    return as_json(config)
