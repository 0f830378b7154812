"""How TensorFlow calls the variables of a network while it is built. Other backends of Keras need nothing of this."""

import contextlib

import keras


@contextlib.contextmanager
def short_variable_names():
    """While it lasts, TensorFlow calls a variable `kernel`, not `stem_conv/kernel`; Keras's names and paths stay.

    For each name and shape that it has not seen, eager TensorFlow prepares the making of a variable anew: a fifth of
    the time that SENet-154 with its 988 variables is built in.
    """
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    def outside_scopes(make, **arguments):
        with tf.name_scope(""):
            return make(**arguments)

    with tf.variable_creator_scope(outside_scopes):
        yield
