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


def check_name(name):
    """Raise UsageError unless `name` is a key of MODELS; the message lists the near matches, or all names."""
    if name not in MODELS:
        choices = difflib.get_close_matches(name, MODELS, n=5) or sorted(MODELS)
        raise UsageError(f"unknown model {name!r}; choose one of {', '.join(choices)}")


def builder(name):
    """The builder function called `name`. Raises UsageError as check_name does."""
    check_name(name)
    return getattr(importlib.import_module(f"kerascnn.models.{MODELS[name]}"), name)
