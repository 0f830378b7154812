"""The networks, a builder each, and MODELS: all of them by name.

    from kerascnn.models import resnet20
    model = resnet20((32, 32, 3), 10)

A builder returns an uncompiled Functional model that bears the builder's name; every builder keeps the contract in
CONTRIBUTING.md. Two models of one builder within a third need names of their own: `model.name = "b"` gives one,
once published weights are loaded.
"""

from kerascnn.model_names import check_name
from kerascnn.models.airbench import airbench, airbench95, whiten
from kerascnn.models.alexnet import alexnet, alexnet_2014, alexnet_one_tower
from kerascnn.models.convnetjs import convnetjs
from kerascnn.models.five_layer_cnn import five_layer_cnn
from kerascnn.models.googlenet import googlenet, googlenet_aux, googlenet_bn
from kerascnn.models.inception_v4 import inception_v4
from kerascnn.models.lenet import lenet5, lenet5_1998, lenet_homework
from kerascnn.models.mlp import mlp
from kerascnn.models.resnet import (
    plain18,
    plain34,
    resnet18,
    resnet34,
    resnet50,
    resnet50_v1_5,
    resnet101,
    resnet101_v1_5,
    resnet152,
    resnet152_v1_5,
)
from kerascnn.models.resnet_cifar import (
    plain20,
    plain56,
    resnet20,
    resnet20_b,
    resnet32,
    resnet32_b,
    resnet44,
    resnet44_b,
    resnet56,
    resnet56_b,
    resnet110,
    resnet110_b,
    se_resnet20,
)
from kerascnn.models.senet import se_resnet18, se_resnet34, se_resnet50, se_resnet101, se_resnet152, senet154
from kerascnn.models.simple_cnn import simple_cnn
from kerascnn.models.unet import unet, unet_2015, unet_buda, unet_dong
from kerascnn.models.vgg import vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg16c, vgg19, vgg19_bn
from kerascnn.models.vgg_digits import vgg_digits
from kerascnn.models.zfnet import zfnet

BUILDERS = (
    *(mlp, simple_cnn, five_layer_cnn, lenet5, lenet5_1998, lenet_homework, vgg_digits, convnetjs),
    *(airbench, airbench95),
    *(alexnet, alexnet_one_tower, alexnet_2014, zfnet),
    *(vgg11, vgg13, vgg16c, vgg16, vgg19, vgg11_bn, vgg13_bn, vgg16_bn, vgg19_bn),
    *(googlenet, googlenet_aux, googlenet_bn, inception_v4),
    *(resnet18, resnet34, resnet50, resnet101, resnet152, resnet50_v1_5, resnet101_v1_5, resnet152_v1_5),
    *(plain18, plain34, resnet20, resnet32, resnet44, resnet56, resnet110),
    *(resnet20_b, resnet32_b, resnet44_b, resnet56_b, resnet110_b, plain20, plain56, se_resnet20),
    *(se_resnet18, se_resnet34, se_resnet50, se_resnet101, se_resnet152, senet154),
    *(unet, unet_2015, unet_dong, unet_buda),
)
MODELS = {build.__name__: build for build in BUILDERS}


def builder(name):
    """The builder called `name`. Raises UsageError as check_name does."""
    check_name(name)
    return MODELS[name]
