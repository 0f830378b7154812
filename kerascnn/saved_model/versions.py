"""Finding and calling an exported SavedModel with TensorFlow alone: no Keras call, none of our model code."""

import re

from kerascnn.errors import InputError, InputRejected


def versions(folder):
    """The version folders in a model folder, lowest number first."""
    children = folder.iterdir() if folder.is_dir() else ()
    found = [child for child in children if child.name.isdecimal() and (child / "saved_model.pb").is_file()]
    return sorted(found, key=lambda child: int(child.name))


def latest_version(folder):
    """The highest version folder. Raises InputError when there is none."""
    found = versions(folder)
    if not found:
        raise InputError(f"no SavedModel under {folder}; export a model into it first, or name another folder")
    return found[-1]


def load_signatures(version):
    """The signatures of the SavedModel in a version folder, by name. Raises InputError when it is damaged."""
    import tensorflow as tf

    try:
        return tf.saved_model.load(str(version)).signatures
    except (OSError, ValueError, tf.errors.OpError) as error:
        words = str(error).splitlines()[0]
        raise InputError(f"the SavedModel {version} is damaged ({words}); restore it or export again") from None


def local_model(version):
    """answer(inputs, signature name) -> dict of arrays, by the SavedModel in a version folder.

    inputs: an array, or for predict_bytes a list of encoded images; text comes back as str, but for
    outputs named *_bytes. Raises InputRejected when the model does not take the input, InputError when it has no such
    signature.
    """
    import tensorflow as tf

    signatures = load_signatures(version)

    def answer(inputs, signature):
        if signature not in signatures:
            raise InputError(f"{version} has no signature {signature}; name another folder")
        call = signatures[signature]
        ((name, spec),) = call.structured_input_signature[1].items()
        try:
            outputs = call(**{name: tf.constant(inputs, spec.dtype)})
        except tf.errors.InvalidArgumentError as error:
            raise InputRejected(f"{version} does not take this input ({reason(error)})") from None
        return {key: value.numpy() if key.endswith("_bytes") else text(value.numpy()) for key, value in outputs.items()}

    return answer


def reason(error):
    """Why a model does not take its input: one line of a tf.errors.OpError."""
    # The reason is the last line before the list of graph nodes; node names, in double braces, say nothing here.
    line = (error.message or "the model failed").split("\n\t [[")[0].splitlines()[-1]
    return re.sub(r"\{\{.*?\}\}", "", line).strip()


def text(array):
    """An array of bytes objects as nested lists of str; other arrays as they are."""
    if array.dtype != object:
        return array
    return [text(part) if hasattr(part, "dtype") else part.decode() for part in array]
