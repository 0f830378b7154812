"""The classic convolutional networks as real software on Keras 3 and TensorFlow."""

__version__ = "0.1.0"
