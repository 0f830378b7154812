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
    "convnetjs": "convnetjs",
    "alexnet": "alexnet",
    "alexnet_one_tower": "alexnet",
    "alexnet_2014": "alexnet",
    "zfnet": "zfnet",
    "vgg11": "vgg",
    "vgg13": "vgg",
    "vgg16c": "vgg",
    "vgg16": "vgg",
    "vgg19": "vgg",
    "vgg11_bn": "vgg",
    "vgg13_bn": "vgg",
    "vgg16_bn": "vgg",
    "vgg19_bn": "vgg",
    "googlenet": "googlenet",
    "googlenet_aux": "googlenet",
    "googlenet_bn": "googlenet",
    "inception_v4": "inception_v4",
    "resnet18": "resnet",
    "resnet34": "resnet",
    "resnet50": "resnet",
    "resnet101": "resnet",
    "resnet152": "resnet",
    "resnet50_v1_5": "resnet",
    "resnet101_v1_5": "resnet",
    "resnet152_v1_5": "resnet",
    "plain18": "resnet",
    "plain34": "resnet",
    "resnet20": "resnet_cifar",
    "resnet32": "resnet_cifar",
    "resnet44": "resnet_cifar",
    "resnet56": "resnet_cifar",
    "resnet110": "resnet_cifar",
    "resnet20_b": "resnet_cifar",
    "resnet32_b": "resnet_cifar",
    "resnet44_b": "resnet_cifar",
    "resnet56_b": "resnet_cifar",
    "resnet110_b": "resnet_cifar",
    "plain20": "resnet_cifar",
    "plain56": "resnet_cifar",
    "se_resnet20": "resnet_cifar",
    "se_resnet18": "senet",
    "se_resnet34": "senet",
    "se_resnet50": "senet",
    "se_resnet101": "senet",
    "se_resnet152": "senet",
    "senet154": "senet",
    "unet": "unet",
    "unet_2015": "unet",
    "unet_dong": "unet",
    "unet_buda": "unet",
}


def check_name(name):
    """Raise UsageError unless `name` is a key of MODELS; the message lists the near matches, or all names."""
    if name not in MODELS:
        choices = difflib.get_close_matches(name.lower(), MODELS, n=5) or sorted(MODELS)
        raise UsageError(
            f"unknown model {name!r}; choose one of {', '.join(choices)} (`python -m apps.networks list` has all)"
        )


def builder(name):
    """The builder function called `name`. Raises UsageError as check_name does."""
    check_name(name)
    return getattr(importlib.import_module(f"kerascnn.models.{MODELS[name]}"), name)
