"""Which input shapes and numbers of classes a network takes, and under which settings of Keras."""

import keras
import numpy as np

from kerascnn.errors import UsageError


def check_size(input_shape, minimum, name, num_classes, *, unknown=False, factor=1):
    """Raise UsageError unless input_shape is (height, width, channels) with sides of at least `minimum` pixels.

    So where num_classes is no number of classes. unknown: whether a side may be None, too. factor: what divides every
    known side.
    """
    check_settings(name)
    if not isinstance(num_classes, int | np.integer) or num_classes < 1:
        words = f"num_classes is {num_classes!r}; give a whole number of at least 1"
        raise UsageError(words, argument="num_classes")
    sides = [side for side in input_shape[:2] if side is not None or not unknown]
    known = len(input_shape) == 3 and None not in (*sides, input_shape[2])
    if not known or input_shape[2] < 1 or any(side < minimum or side % factor for side in sides):
        multiples = f", in multiples of {factor}" if factor > 1 else ""
        raise UsageError(
            f"input_shape is {tuple(input_shape)}, which does not fit {name}; use (height, width, channels) with at "
            f"least {minimum} x {minimum} pixels{multiples}{', or (None, None, channels)' if unknown else ''}"
        )


def check_settings(name):
    """Raise UsageError unless Keras works channels last and in float32: a user's keras.json can say otherwise."""
    if (order := keras.config.image_data_format()) != "channels_last":
        raise UsageError(
            f"image_data_format is {order!r} in Keras's settings, under which {name} would be another network; "
            'call keras.config.set_image_data_format("channels_last") before building it'
        )
    if (floatx := keras.config.floatx()) != "float32":
        # the policy is made of floatx once, with the first layer
        raise UsageError(
            f"floatx is {floatx!r} in Keras's settings, but {name} is made for float32; "
            'call keras.config.set_floatx("float32") and keras.config.set_dtype_policy("float32") before building it'
        )
