"""What the networks named as arguments, and layers, do under the keras.json in KERAS_HOME, as JSON on stdout."""

import json
import sys

import keras
import numpy as np

from kerascnn.layers import FILTERS, CeilingMaxPooling2D, FullConv2D
from kerascnn.models import builder

errors = {}
for name in sys.argv[1:]:
    try:
        builder(name)()
    except ValueError as error:
        errors[name] = str(error)

image = np.zeros((1, 8, 12, 3), np.float32)
layers = {name: make() for name, make in FILTERS.items()}
layers |= {"ceiling": CeilingMaxPooling2D(3, 2), "full": FullConv2D(3, 3, strides=2)}
shapes = {name: list(layer(image).shape) for name, layer in layers.items()}

# what the errors tell users to do
keras.config.set_image_data_format("channels_last")
keras.config.set_floatx("float32")
keras.config.set_dtype_policy("float32")
model = builder("five_layer_cnn")()
dtypes = sorted({weight.dtype for weight in model.weights} | {layer.compute_dtype for layer in model.layers})
print(json.dumps({"errors": errors, "shapes": shapes, "parameters": model.count_params(), "dtypes": dtypes}))
