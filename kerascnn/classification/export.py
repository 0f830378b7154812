"""A trained classifier as a SavedModel: preprocessing, network and class names in one folder that needs no Keras.

Written with `keras.export.ExportArchive`, one function per signature with training=False and no `track`: `model.export`
stores every weight twice, and saving the Keras model with `tf.saved_model.save` gives a file that only
`tf.saved_model.load` can read. Each input's shape is ensured first, because a convolution of oneDNN ends the whole
process on a tensor of another rank. A version appears under its number only after a fresh process without Keras agreed
with it.
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kerascnn.classification.class_names import checked_names
from kerascnn.classification.preprocessing import Preprocessing
from kerascnn.classification.views import averaged_over_views
from kerascnn.datasets.resizing import ResizeAndCrop
from kerascnn.decoding import preprocess_bytes
from kerascnn.errors import UsageError
from kerascnn.saved_model.archive import described, write_version
from kerascnn.saved_model.folding import folded, in_float32
from kerascnn.saved_model.verification import ON_EXAMPLES, ON_NOISE, verify_answers
from kerascnn.training.run_folder import check_logits, main_head, plain, run_card


def export(model, folder, class_names=None, preprocessing=None, examples=None):
    """kerascnn.export of a classifier: the path of the version.

    model: one input of images and an output of logits; a layer `embedding` is the vector before it.

    Signatures (h, w, c is the network's size; K is 5, or all classes where there are fewer):

        serving_default   image uint8 (B, H, W, C)                 classification
        predict_bytes     image_bytes string (B,)                  classification and valid bool (B,)
        logits            image float32 (B, h, w, c) in [0, 1]     logits (B, classes)
        probabilities     image float32 (B, h, w, c) in [0, 1]     probabilities (B, classes)
        embedding         image float32 (B, h, w, c) in [0, 1]     embedding (B, features), where there is such a layer

    A classification is probabilities float32 (B, classes), class_id int32, class_name and score (B,), and top_names and
    top_scores (B, K) in falling order. Where valid is False all numbers are 0, class_id is -1 and names are empty. All
    are of means over views of the image where the run's recipe has `tta`.

    The version holds `assets.extra/card.json` and `assets.extra/tf_serving_warmup_requests` besides. Computation is in
    float32 whatever the precision of training was, and batch normalization is folded away. A failed export leaves
    nothing; no version is ever overwritten.
    """
    network, folder = in_float32(classifier(model)), Path(folder).resolve()
    names = checked_names(class_names, network.output_shape[-1])
    card, tolerance = run_card(model, folder), ON_EXAMPLES
    tta = (card["recipe"] or {}).get("tta", "none")
    recorded = dict((card["data"] or {}).get("resize") or {})
    usual = recorded.pop("image_size", (224, 224))
    shape = *(side or own for side, own in zip(network.input_shape[1:3], usual, strict=True)), network.input_shape[3]
    if preprocessing is None and shape[2] not in (1, 3):
        words = f"preprocessing is None, and model {network.name} takes images of {shape[2]} channels"
        raise UsageError(f"{words}; give a function from photos to these", argument="preprocessing")
    preprocess = preprocessing or Preprocessing(ResizeAndCrop(shape[:2], **recorded), shape[2])
    if examples is None:
        channels = shape[2] if shape[2] in (1, 3) else 3
        examples, tolerance = np.random.default_rng(0).integers(0, 256, (4, *shape[:2], channels), np.uint8), ON_NOISE
    check_examples(examples)
    with tf.device("CPU"):
        preprocessed = preprocess(tf.constant(examples)).numpy()
        probabilities = tf.nn.softmax(averaged_over_views(network, tta)(preprocessed)).numpy()
    endpoints = signatures(folded(network), preprocess, names, preprocessed.shape[1:], tta)
    inputs = dict.fromkeys(endpoints, preprocessed)
    inputs["serving_default"] = np.asarray(examples)
    inputs["predict_bytes"] = np.array([tf.io.encode_png(image).numpy() for image in examples])
    compared = {name: inputs[name] for name in ("serving_default", "predict_bytes", "probabilities")}

    def verify(version, work):
        outputs, expected = dict.fromkeys(compared, "probabilities"), dict.fromkeys(compared, probabilities)
        return verify_answers(version, work, compared, outputs, expected, tolerance)

    card |= {"class_names": names, "preprocessing": described(preprocess)}
    return write_version(endpoints, inputs, verify, folder, card)


def check_examples(examples):
    """Raise UsageError unless these are images as a client sends them."""
    shape, dtype = np.shape(examples), getattr(examples, "dtype", type(examples).__name__)
    if dtype != np.uint8 or len(shape) != 4 or not all(shape) or shape[3] not in (1, 3, 4):
        words = f"examples is {dtype} of shape {shape}; give uint8 (N, H, W, C) with 1, 3 or 4 channels"
        raise UsageError(words, argument="examples")


def classifier(model):
    """The model up to its logits. Raises UsageError unless it turns images into logits."""
    model = plain(main_head(model))
    check_logits(model)
    if len(model.inputs) > 1 or len(model.input_shape) != 4:
        shapes = " and ".join(str(tuple(source.shape)) for source in model.inputs)
        raise UsageError(f"model {model.name} takes {shapes}; give one of images (B, H, W, C)", argument="model")
    return model


def signatures(network, preprocess, class_names, shape, tta):
    """By signature name: the function that answers and the tf.TensorSpec of its input."""
    averaged = averaged_over_views(network, tta)

    def checked(image):
        return tf.ensure_shape(image, [None, *shape])

    def logits(image):
        return averaged(checked(image))

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
        endpoints["embedding"] = (lambda image: {"embedding": features(checked(image), training=False)}, pixels)
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
