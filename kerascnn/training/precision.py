"""The types and operations that a training computes with, switched on for its time and put back."""

import contextlib
import logging
import math
import os
import re
from pathlib import Path

import keras
import tensorflow as tf

from kerascnn.errors import UsageError

CPU_INFO = Path("/proc/cpuinfo")
LEAST_CHANNELS = 16  # that go in and come out

logger = logging.getLogger(__name__)


def on_accelerator():
    """Whether Keras computes on a GPU or TPU; XLA compilation pays there and costs on a CPU."""
    return not all(device.startswith("cpu") for device in keras.distribution.list_devices())


def warn_without_onednn():
    """Log a warning where kerascnn was imported too late to switch TensorFlow's faster operations on.

    It looks at TF_ENABLE_ONEDNN_OPTS when it is loaded, which `import keras` does.
    """
    from tensorflow.python.util import _pywrap_util_port  # nothing public tells

    wanted = os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "1"
    if wanted and not on_accelerator() and not _pywrap_util_port.IsMklEnabled():
        logger.warning(
            "TensorFlow was loaded without oneDNN, with which it trains up to twice as fast on this processor: "
            "import kerascnn before keras, or set TF_ENABLE_ONEDNN_OPTS=1"
        )


def half_precision(model):
    """The policy that precision="auto" stands for: half precision where it is faster, else float32."""
    if not on_accelerator():
        return "mixed_bfloat16" if bfloat16_pays(model) else "float32"
    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    capability = min((detail.get("compute_capability", (0, 0)) for detail in details), default=(8, 0))
    if capability >= (8, 0):
        return "mixed_bfloat16"
    return "mixed_float16" if capability >= (7, 0) else "float32"


def bfloat16_pays(model):
    """Whether this CPU has units for bfloat16, and most of the convolutions' work is in ones of at least 16 channels.

    These train 1.3 to 1.8 times as fast then (benchmarks/training_step.py has two networks), narrower ones little
    faster; without units all take several times as long.
    """
    if not CPU_INFO.is_file() or not re.search(r"\b(avx512_bf16|amx_bf16)\b", CPU_INFO.read_text()):
        return False
    work = {True: 0, False: 0}
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Conv2D):
            kernel = layer.kernel.shape
            outputs = [node.output_tensors[0].shape[1:-1] for node in layer._inbound_nodes]
            positions = sum(math.prod(side or 1 for side in sides) for sides in outputs) or 1
            work[min(kernel[-2:]) >= LEAST_CHANNELS] += math.prod(kernel) * positions
    return work[True] > work[False]


def has_own_step(model):
    """Whether a model has a train_step of its own, which may see other images and scale no loss."""
    return type(model).train_step is not keras.Model.train_step


def policy_of(model, recipe):
    """The dtype policy of the training. Raises UsageError for half precision that the model's own step would spoil."""
    policy = half_precision(model) if recipe.precision == "auto" else recipe.precision
    scales = isinstance(getattr(model, "optimizer", None), keras.optimizers.LossScaleOptimizer)
    if policy != "mixed_float16" or scales or not has_own_step(model):
        return policy
    if recipe.precision == "auto":
        return "float32"
    words = "precision is mixed_float16, and the model's own train_step scales no loss"
    raise UsageError(f"{words}; compile it with a keras.optimizers.LossScaleOptimizer", argument="precision")


def output_layers(model, weighed=False):
    """The layers that make the outputs of a model, those within a model that is its last layer.

    Of one there that is a subclass without outputs of its own these are not known: all its layers. Where an operation
    makes an output of tensors, as `x / 256` does, it is the layers that make these. weighed: the last ones that have
    weights.
    """
    for tensor in model.outputs:
        yield from makers(tensor, weighed)


def makers(tensor, weighed):
    """The layers that make a symbolic tensor, see output_layers."""
    operation, node, _ = tensor._keras_history
    if getattr(operation, "outputs", None):
        yield from output_layers(operation, weighed)
    elif isinstance(operation, keras.layers.Layer) and (operation.weights or not weighed):
        yield from operation._flatten_layers()
    else:
        for each in operation._inbound_nodes[node].input_tensors:
            yield from makers(each, weighed)


@contextlib.contextmanager
def computing_in(model, policy):
    """Give every layer of the model but its outputs the dtype policy called `policy`, as long as this lasts.

    A compiled model's optimizer scales the loss under mixed_float16. What was traced with another policy would keep it,
    so Keras traces the model's functions anew, before and after.
    """
    outputs = set(map(id, output_layers(model)))
    # the public `layers` are not those inside of layers
    layers = [layer for layer in model._flatten_layers() if id(layer) not in outputs]
    before = [layer.dtype_policy for layer in layers]
    optimizer = getattr(model, "optimizer", None)
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    try:
        if policy != "float32" or any(layer.compute_dtype in ("bfloat16", "float16") for layer in layers):
            for layer in layers:
                layer.dtype_policy = policy
            if policy == "mixed_float16" and model.compiled and not scaled:
                model.optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        model.train_function = model.test_function = model.predict_function = None
        yield
    finally:
        model.optimizer = optimizer
        for layer, own in zip(layers, before, strict=True):
            layer.dtype_policy = own
        model.train_function = model.test_function = model.predict_function = None


@contextlib.contextmanager
def deterministic_operations(model, wanted):
    """Where `wanted`, let TensorFlow use deterministic operations only, as long as this lasts.

    Not all operations that XLA compiles are, so a compiled model goes without it.
    """
    from tensorflow.python.framework import config  # the one place where it can be switched off again

    switched = wanted and not config.is_op_determinism_enabled()
    compiled_by_xla = wanted and model.compiled and model.jit_compile
    if switched:
        tf.config.experimental.enable_op_determinism()
    if compiled_by_xla:
        model.jit_compile = False
    try:
        yield
    finally:
        if switched:
            config.disable_op_determinism()
        if compiled_by_xla:
            model.jit_compile = True
