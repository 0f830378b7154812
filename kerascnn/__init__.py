"""The classic convolutional networks as real software on Keras 3 and TensorFlow.

    import kerascnn as kc

    model = kc.models.resnet20((32, 32, 3), 10)  # a plain, uncompiled keras.Model
    data = kc.datasets.load("mnist")

Nothing heavy is imported before a name of LAZY is used.
"""

import importlib

__version__ = "0.1.0"

# By public name, the module that has it; strings, since an import here would let every module that asks for __version__
# depend on all others.
LAZY = {
    "Recipe": "kerascnn.training.recipe",
    "datasets": "kerascnn.datasets",
    "layers": "kerascnn.layers",
    "models": "kerascnn.models",
}


def __getattr__(name):
    if name not in LAZY:
        raise AttributeError(f"module 'kerascnn' has no attribute {name!r}")
    module = importlib.import_module(LAZY[name])
    return module if LAZY[name] == f"kerascnn.{name}" else getattr(module, name)


def __dir__():
    return [*globals(), *LAZY]
