"""The networks by name. Every builder keeps the contract of a model builder in CONTRIBUTING.md.

`MODELS` knows where each builder lives without importing Keras, so that names can be checked before anything heavy
is loaded; `builder(name)` imports it.
"""

import difflib
import importlib

from kerascnn.errors import UsageError

MODELS = {
    "mlp": "mlp",
    "simple_cnn": "simple_cnn",
    "five_layer_cnn": "five_layer_cnn",
    "lenet5": "lenet",
    "lenet5_1998": "lenet",
    "lenet_homework": "lenet",
    "vgg_digits": "vgg_digits",
}


def builder(name):
    """The builder function called `name`, a key of MODELS.

    Raises UsageError for an unknown name; the message lists the near matches, or all names when none is near.
    """
    if name not in MODELS:
        choices = difflib.get_close_matches(name, MODELS, n=5) or sorted(MODELS)
        raise UsageError(f"unknown model {name!r}; choose one of {', '.join(choices)}")
    return getattr(importlib.import_module(f"kerascnn.models.{MODELS[name]}"), name)
