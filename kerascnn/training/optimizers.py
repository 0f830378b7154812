"""The optimizer and learning-rate schedule that a recipe names."""

import keras
from keras import ops

from kerascnn.training.layer_rates import with_layer_rates
from kerascnn.training.muon import Muon


def create_optimizer(recipe, steps_per_epoch, heads=None):
    """The keras.optimizers.Optimizer of a Recipe; steps_per_epoch counts batches, heads is as Muon takes it.

    Where gradients are accumulated, Keras 3.15 asks the schedule and moves the averages at every batch, not at every
    update: so the schedule is one over batches, and `accumulate` moves make up the momentum that the recipe means.
    """
    options = {
        "learning_rate": learning_rate(recipe, steps_per_epoch),
        "weight_decay": recipe.weight_decay if recipe.optimizer == "adamw" else recipe.weight_decay or None,
        "global_clipnorm": recipe.clip_norm or None,
        "use_ema": recipe.ema > 0,
        "ema_momentum": recipe.ema ** (1 / recipe.accumulate) if recipe.ema else None,
        "gradient_accumulation_steps": recipe.accumulate if recipe.accumulate > 1 else None,
    }
    momentum = float(recipe.momentum)  # Keras takes no int
    kind, own = {
        "sgd": (
            CoupledSGD if recipe.coupled_weight_decay else keras.optimizers.SGD,
            {"momentum": momentum, "nesterov": recipe.nesterov and recipe.momentum > 0},
        ),
        "adam": (keras.optimizers.Adam, {}),
        "adamw": (keras.optimizers.AdamW, {}),
        "adagrad": (keras.optimizers.Adagrad, {}),
        "rmsprop": (keras.optimizers.RMSprop, {"momentum": momentum}),
        "muon": (Muon, {"momentum": momentum, "heads": heads, **multipliers(recipe)}),
    }[recipe.optimizer]
    if recipe.layer_rates:
        kind = with_layer_rates(kind, recipe.layer_rates)
    optimizer = kind(**own, **options)
    if recipe.weight_decay and recipe.optimizer != "muon":
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def multipliers(recipe):
    """What Muon multiplies the learning rate by where SGD takes over."""
    rates = {"bias_multiplier": recipe.bias_learning_rate, "head_multiplier": recipe.head_learning_rate}
    # where learning_rate is 0, so are they
    return {name: 1.0 if rate is None else rate / (recipe.learning_rate or 1.0) for name, rate in rates.items()}


def learning_rate(recipe, steps_per_epoch):
    """A number (plateau) or a schedule over batches, of which an epoch has steps_per_epoch."""
    peak = float(recipe.learning_rate)
    if recipe.schedule == "plateau":
        return peak
    total = max(1, round(recipe.epochs * steps_per_epoch))
    if recipe.schedule == "linear":
        after = keras.optimizers.schedules.PolynomialDecay(peak, total, end_learning_rate=0.0)
    elif recipe.schedule == "cosine":
        after = keras.optimizers.schedules.CosineDecay(peak, total)
    else:
        step = recipe.decay_every if recipe.schedule == "step" else recipe.epochs
        epochs = recipe.decay_epochs or range(step, recipe.epochs, step)
        # Keras wants one boundary at least, the last batch of a rate; one at the end of the run changes nothing
        ends = [round(epoch * steps_per_epoch) - 1 for epoch in epochs] or [total]
        rates = [peak * recipe.decay_factor**i for i in range(len(ends) + 1)]
        after = keras.optimizers.schedules.PiecewiseConstantDecay(ends, rates)
    warmup = min(recipe.warmup_epochs, recipe.epochs / 2)
    return WarmUp(after, round(warmup * steps_per_epoch)) if warmup else after


def unscaled(optimizer):
    """The optimizer itself, or the one inside of a LossScaleOptimizer."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def rate_of(optimizer):
    """The learning rate of an optimizer just now, or None where it has several, as a MultiOptimizer."""
    try:
        return float(optimizer.learning_rate)
    except AttributeError:
        return None


@keras.saving.register_keras_serializable(package="kerascnn")
class CoupledSGD(keras.optimizers.SGD):
    """SGD whose weight decay is added to the gradient, and so goes through the momentum.

    Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012, section 5.
    """

    def build(self, variables):
        super().build(variables)
        # under TensorFlow update_step gets variables without the names by which some are excluded
        self.decays = [self.weight_decay if self._use_weight_decay(variable) else 0.0 for variable in variables]

    def update_step(self, gradient, variable, learning_rate):
        decay = self.decays[self._get_variable_index(variable)]
        super().update_step(gradient + decay * variable if decay else gradient, variable, learning_rate)

    def _apply_weight_decay(self, variables):
        """Nothing: the decoupled one of Keras."""


@keras.saving.register_keras_serializable(package="kerascnn")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """The schedule `after`, times a ramp from 0 to 1 over the first `steps` batches (Keras has it for cosine only)."""

    def __init__(self, after, steps):
        super().__init__()
        self.after, self.steps = after, steps

    def __call__(self, step):
        return self.after(step) * ops.minimum(1.0, (ops.cast(step, "float32") + 1) / max(1, self.steps))

    def get_config(self):
        return {"after": keras.optimizers.schedules.serialize(self.after), "steps": self.steps}

    @classmethod
    def from_config(cls, config):
        return cls(keras.optimizers.schedules.deserialize(config["after"]), config["steps"])
