"""What Keras answers for an exported classifier, as verify_answers compares it."""

import keras

from kerascnn.saved_model.verification import write_reference


def answer(model, inputs):
    """The probabilities (B, classes) of the preprocessed images; every other signature gets the same images raw."""
    return dict.fromkeys(inputs, keras.ops.softmax(model.predict(inputs["probabilities"], verbose=0)))


if __name__ == "__main__":
    write_reference(answer)
