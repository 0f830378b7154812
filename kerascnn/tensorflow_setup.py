"""TensorFlow and Keras loaded as a command wants them: without chatter, and whatever the user's keras.json says."""

import contextlib
import os
import sys
import tempfile

# What Keras imports where it is installed, for functions that no command calls: a third of the time until Keras is
# there.
UNUSED = ("matplotlib", "pandas", "sklearn")


def load_tensorflow():
    """Import TensorFlow without the lines that its native code writes to stderr, and Keras on it.

    Keras gets the backend, image format and number type that all our networks have, in this process alone.

    TF_CPP_MIN_LOG_LEVEL does not reach what is written before logging is set up, so the file descriptor itself is held
    back; it is let out again when the import fails. On GPUs TensorFlow is told to take memory as it needs it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # before Keras is imported, which TensorFlow does
    sys.stderr.flush()
    kept = os.dup(2)
    with held_file() as held:
        os.dup2(held.fileno(), 2)
        try:
            with hidden(UNUSED):
                import keras
                import tensorflow
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
    # before the first operation, after which TensorFlow does not take it
    for gpu in tensorflow.config.list_physical_devices("GPU"):
        tensorflow.config.experimental.set_memory_growth(gpu, True)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")


def held_file():
    """A file for what is held back: in memory where the system has such ones, as no disk may have room."""
    return open(os.memfd_create("stderr"), "w+b") if hasattr(os, "memfd_create") else tempfile.TemporaryFile()


@contextlib.contextmanager
def hidden(packages):
    """Let imports of these packages fail, as long as this lasts, unless they are there already."""
    absent = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
