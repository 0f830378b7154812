"""A trained classifier as a SavedModel: preprocessing, network and class names in one folder that needs no Keras.

Written with `tf.saved_model.save`, one function per signature with training=False and no layer in it: `model.export`
stores every weight twice, and saving the Keras model with `tf.saved_model.save` gives a file that only
`tf.saved_model.load` can read. Each input's shape is ensured first, because a convolution of oneDNN ends the whole
process on a tensor of another rank. A version appears under its number only after a fresh process without Keras agreed
with it.
"""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kerascnn.classification.class_names import checked_names
from kerascnn.classification.inference import Inference
from kerascnn.classification.preprocessing import Preprocessing, recorded_resize
from kerascnn.decoding import preprocess_bytes
from kerascnn.errors import UsageError
from kerascnn.saved_model.archive import described, write_version
from kerascnn.saved_model.folding import folded, in_float32
from kerascnn.saved_model.verification import ON_EXAMPLES, ON_NOISE, check_examples, verify_answers
from kerascnn.training.record import read_record_if_any, recorded_in
from kerascnn.training.run_folder import check_logits, main_head, plain, run_card


def export(model, folder, class_names=None, preprocessing=None, examples=None):
    """kerascnn.export of a classifier: the path of the version.

    model: one input of images and an output of logits; a layer `embedding` is the vector before it.

    Signatures (h, w, c is the network's size, H', W' that of the preprocessed image, which is larger where views are
    crops; K is 5, or all classes where there are fewer):

        serving_default   image uint8 (B, H, W, C)                 classification
        predict_bytes     image_bytes string (B,)                  classification and valid bool (B,)
        logits            image float32 (B, H', W', c) in [0, 1]   logits (B, classes)
        probabilities     image float32 (B, H', W', c) in [0, 1]   probabilities (B, classes)
        embedding         image float32 (B, h, w, c) in [0, 1]     embedding (B, features), where there is such a layer

    A classification is probabilities float32 (B, classes), class_id int32, class_name and score (B,), and top_names and
    top_scores (B, K) in falling order. Where valid is False all numbers are 0, class_id is -1 and names are empty. All
    but embedding are of means over views of the image where the run's recipe has `tta`, and of logits divided by the
    temperature that recipe.json says.

    The version holds `assets.extra/card.json` and `assets.extra/tf_serving_warmup_requests` besides. Computation is in
    float32 whatever the precision of training was, and batch normalization is folded away. A failed export leaves
    nothing; no version is ever overwritten.
    """
    network, folder = in_float32(classifier(model)), Path(folder).resolve()
    names = checked_names(class_names, network.output_shape[-1])
    record, tolerance = read_record_if_any(folder) or {}, ON_EXAMPLES
    with recorded_in(folder):
        inference = Inference.recorded(record)
        shape, resize = size_of_input(network, record)
    check_preprocessing(preprocessing, network, inference)
    single = preprocessing or Preprocessing(resize, shape[2])
    preprocess = preprocessing or Preprocessing(inference.resize(resize), shape[2])
    if examples is None:
        channels = shape[2] if shape[2] in (1, 3) else 3
        examples, tolerance = np.random.default_rng(0).integers(0, 256, (4, *shape[:2], channels), np.uint8), ON_NOISE
    check_examples(examples, (1, 3, 4))
    with tf.device("CPU"):
        preprocessed, of_one_view = (function(tf.constant(examples)).numpy() for function in (preprocess, single))
        probabilities = tf.nn.softmax(inference.logits(network)(preprocessed)).numpy()
    shapes = preprocessed.shape[1:], of_one_view.shape[1:]
    endpoints = signatures(folded(network), preprocess, names, shapes, inference)
    inputs = dict.fromkeys(endpoints, preprocessed)
    inputs["embedding"] = of_one_view
    inputs["serving_default"] = np.asarray(examples)
    inputs["predict_bytes"] = np.array([tf.io.encode_png(image).numpy() for image in examples])
    compared = {name: inputs[name] for name in ("serving_default", "predict_bytes", "probabilities")}

    def verify(version, work):
        outputs, expected = dict.fromkeys(compared, "probabilities"), dict.fromkeys(compared, probabilities)
        return verify_answers(version, work, compared, outputs, expected, tolerance)

    own = {"temperature": inference.temperature, "class_names": names, "preprocessing": described(preprocess)}
    return write_version(endpoints, inputs, verify, folder, run_card(model, folder) | own)


def size_of_input(network, record):
    """((h, w, c), the ResizeAndCrop of photos to it) of a network; of any size, that of the run's photos or 224x224."""
    recorded = recorded_resize(record)
    *sides, channels = network.input_shape[1:]
    size = tuple(side or own for side, own in zip(sides, recorded.image_size, strict=True))
    return (*size, channels), dataclasses.replace(recorded, image_size=size)


def check_preprocessing(preprocessing, network, inference):
    """Raise UsageError where the preprocessing that was given, or None, cannot give what the network takes."""
    channels = network.input_shape[3]
    if preprocessing is None and channels not in (1, 3):
        words = f"preprocessing is None, and model {network.name} takes images of {channels} channels"
        raise UsageError(f"{words}; give a function from photos to these", argument="preprocessing")
    if preprocessing and inference.crops:
        words = f"preprocessing is {described(preprocessing).partition(':')[0]}, and the run averages over"
        raise UsageError(f"{words} {inference.tta}, views of larger photos; leave it out", argument="preprocessing")


def classifier(model):
    """The model up to its logits. Raises UsageError unless it turns images into logits."""
    model = main_head(plain(model))
    check_logits(model)
    if len(model.inputs) > 1 or len(model.input_shape) != 4:
        shapes = " and ".join(str(tuple(source.shape)) for source in model.inputs)
        raise UsageError(f"model {model.name} takes {shapes}; give one of images (B, H, W, C)", argument="model")
    return model


def signatures(network, preprocess, class_names, shapes, inference):
    """By signature name: the function that answers and the tf.TensorSpec of its input.

    shapes: (H, W, C) of what `preprocess` gives, and of what the network takes.
    """
    shape, single = shapes
    answer = inference.logits(network)

    def logits(image):
        return answer(tf.ensure_shape(image, [None, *shape]))

    def classify(images):
        # An empty batch is passed on as one black image: oneDNN's fused convolution fails on an empty batch.
        count = tf.shape(images)[0]
        none = tf.cast(count == 0, tf.int32)
        images = tf.pad(images, [[0, none]] + [[0, 0]] * len(shape))
        return classification(logits(images)[:count], class_names)

    def predict(image):
        return classify(preprocess(tf.ensure_shape(image, [None] * 4)))

    def predict_bytes(image_bytes):
        images, valid = preprocess_bytes(image_bytes, preprocess, shape)
        empty = {"class_id": -1, "class_name": "", "top_names": ""}
        answer = {
            name: tf.where(valid if len(value.shape) == 1 else valid[:, tf.newaxis], value, empty.get(name, 0))
            for name, value in classify(images).items()
        }
        return {**answer, "valid": valid}

    pixels = tf.TensorSpec([None, *shape], tf.float32, name="image")
    endpoints = {
        "serving_default": (predict, tf.TensorSpec([None] * 4, tf.uint8, name="image")),
        "predict_bytes": (predict_bytes, tf.TensorSpec([None], tf.string, name="image_bytes")),
        "logits": (lambda image: {"logits": logits(image)}, pixels),
        "probabilities": (lambda image: {"probabilities": tf.nn.softmax(logits(image))}, pixels),
    }
    if any(layer.name == "embedding" for layer in network.layers):
        features = keras.Model(network.input, network.get_layer("embedding").output)

        def embedding(image):
            return {"embedding": features(tf.ensure_shape(image, [None, *single]), training=False)}

        endpoints["embedding"] = (embedding, tf.TensorSpec([None, *single], tf.float32, name="image"))
    return endpoints


def classification(logits, class_names):
    """A classification, as export lists it, of logits float32 (B, classes)."""
    probabilities = tf.nn.softmax(logits)
    scores, ids = tf.math.top_k(probabilities, min(5, len(class_names)))
    names = tf.gather(tf.constant(class_names), ids)
    return {
        "probabilities": probabilities,
        "class_id": ids[:, 0],
        "class_name": names[:, 0],
        "score": scores[:, 0],
        "top_names": names,
        "top_scores": scores,
    }
