"""Which input shapes a network takes, and under which settings of Keras."""

import keras

from kerascnn.errors import UsageError


def check_size(input_shape, minimum, name):
    """Raise UsageError unless input_shape is (height, width, channels), all known, with at least `minimum` pixels."""
    check_settings(name)
    if len(input_shape) != 3 or None in input_shape or min(input_shape[:2]) < minimum or input_shape[2] < 1:
        raise UsageError(
            f"input shape {tuple(input_shape)} does not fit {name}; "
            f"use (height, width, channels) with at least {minimum} x {minimum} pixels"
        )


def check_channels(input_shape, name, minimum=1):
    """Raise UsageError unless input_shape is (height, width, channels), each side None or at least `minimum` pixels."""
    check_settings(name)
    fits = len(input_shape) == 3 and input_shape[2] and input_shape[2] > 0
    if not fits or any(side is not None and side < minimum for side in input_shape[:2]):
        raise UsageError(
            f"input shape {tuple(input_shape)} does not fit {name}; use (height, width, channels) "
            f"with at least {minimum} x {minimum} pixels, or (None, None, channels)"
        )


def check_multiple(input_shape, factor, name):
    """Raise UsageError unless input_shape is (height, width, channels) with sides that `factor` divides, or unknown."""
    check_settings(name)
    known = [side for side in input_shape if side is not None]
    fits = len(input_shape) == 3 and input_shape[2] and all(known)
    if not fits or any(side % factor for side in input_shape[:2] if side):
        raise UsageError(
            f"input shape {tuple(input_shape)} does not fit {name}; "
            f"use (height, width, channels) with at least {factor} x {factor} pixels, in multiples of {factor}"
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
