"""Learning rates that differ from layer to layer.

Howard & Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018, arXiv:1801.06146, section 3.2
("discriminative fine-tuning"): layers of a trained network hold features of different generality, and want steps of
different sizes. Keras's optimizers have one rate; scaled gradients are no way to it, because Adam divides by them.
"""

import math

from kerascnn.errors import UsageError


def with_layer_rates(kind, layer_rates):
    """The class of optimizers `kind`, whose learning rate is multiplied by a factor of each variable's layer.

    kind: a class of keras.optimizers. layer_rates: texts NAME=FACTOR, see Recipe. Weight decay, which a step multiplies
    by the learning rate, is multiplied, too. Building the optimizer raises UsageError for a NAME of no layer.
    """

    class LayerRates(kind):
        def build(self, variables):
            if not self.built:
                super().build(variables)
                # under TensorFlow update_step gets variables that do not know their layer
                self.factors = factors([variable.path for variable in variables], layer_rates)

        def update_step(self, gradient, variable, learning_rate):
            if factor := self.factors[self._get_variable_index(variable)]:  # of rate 0 Muon would change the norm
                super().update_step(gradient, variable, learning_rate * factor)

        def _apply_weight_decay(self, variables):
            whole = self.weight_decay
            for factor in dict.fromkeys(self.factors):
                group = [v for v in variables if self.factors[self._get_variable_index(v)] == factor]
                self.weight_decay = None if whole is None else whole * factor
                super()._apply_weight_decay(group)
            self.weight_decay = whole

    LayerRates.__name__ = kind.__name__  # what a resumed run is compared with
    return LayerRates


def factors(paths, layer_rates):
    """A factor for each variable: the last one whose NAME its layer is called by, NAME or NAME_…, else 1.

    paths: of variables, as stage1_block1_conv1/kernel. Raises UsageError for a NAME that is none's.
    """
    found, unused = [1.0] * len(paths), []
    for name, factor in map(parse_layer_rate, layer_rates):
        # stage1_block1 is not the beginning of stage1_block10
        fitting = [i for i, path in enumerate(paths) if f"{path.replace('/', '_')}_".startswith(f"{name}_")]
        for i in fitting:
            found[i] = factor
        unused += [] if fitting else [name]
    if unused:
        words = f"layer_rates names {unused[0]!r}, and no layer that is trained is called so"
        raise UsageError(f"{words}; the names begin as in {paths[0]}", argument="layer_rates")
    return found


def parse_layer_rate(text):
    """(name, factor) of NAME=FACTOR. Raises UsageError unless it is a name and a number of at least 0."""
    name, _, number = text.partition("=")
    try:
        factor = float(number)
    except ValueError:
        factor = math.nan
    if not (name and 0 <= factor < math.inf):
        words = f"layer_rates has {text!r}, which is no name and number"
        raise UsageError(f"{words}; write NAME=FACTOR, as {name or 'stage1'}=0.1", argument="layer_rates")
    return name, factor
