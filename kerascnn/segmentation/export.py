"""A trained segmentation network as a SavedModel: preparation, network, post-processing and PNG masks inside.

Written and checked as export.py writes classifiers; every volume of a batch is prepared and post-processed alone, so a
server that puts requests together never mixes patients.
"""

import dataclasses
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerascnn.decoding import decode_or_blank
from kerascnn.files import write_json
from kerascnn.images import MOST_VOXELS
from kerascnn.saved_model.archive import write_version
from kerascnn.saved_model.folding import folded, in_float32
from kerascnn.saved_model.verification import parity
from kerascnn.segmentation.inference import network_probabilities, segment
from kerascnn.tumors.preprocessing import preprocess_volume


def export_segmenter(model, settings, folder, card, warmup_volume):
    """Write `model` as the next version of the SavedModel in `folder`; the path of that version's folder.

    model: a segmentation network with the input `image` (side, side, C) and logits of as many pixels. settings: the
    MaskSettings it is served with. card: a dict for JSON. warmup_volume: uint8 (S, H, W, C), which the parity check and
    the warm-up requests use.

    Signatures (every answer has probability float32 in [0, 1] and mask uint8 of 0 and 1):

        serving_default   image uint8 (B, H, W, C)            both (B, H, W, 1); each image is a volume of one slice
        predict_volume    volume uint8 (B, S, H, W, C)        both (B, S, H, W, 1), and tumor_voxels int32 (B,)
        predict_bytes     image_bytes string (B,)             both (B, H, W, 1), as large as the largest picture and 0
                                                              beside the others; height and width int32 (B,); valid
                                                              bool (B,); mask_png_bytes (B,) of 0 and 255. If C is 3.
                                                              valid is false where bytes are no picture, or one
                                                              of a longer side than 8,192
        probabilities     image float32 (B, side, side, C)    probabilities (B, side, side, 1), of prepared slices

    A volume of more than 2^26 voxels, slices times longer side squared, is refused, and so is predict_bytes's answer of
    more pixels.

    Raises InputError when `folder` cannot be written to, and RuntimeError when a consumer cannot read what was written
    or its probabilities differ by more than 1e-5.
    """
    network, folder = in_float32(model), Path(folder).resolve()
    endpoints = signatures(folded(network), settings)
    with tf.device("CPU"):
        prepared = preprocess_volume(tf.constant(warmup_volume), network.input_shape[1]).numpy()
    inputs = {
        "serving_default": warmup_volume,
        "predict_volume": warmup_volume[np.newaxis],
        "probabilities": prepared,
    }
    if "predict_bytes" in endpoints:
        inputs["predict_bytes"] = np.array([tf.io.encode_png(image).numpy() for image in warmup_volume])

    def compare(version, work):
        write_json(work / "mirror.json", settings.mirror)
        return parity("segmenter", network, version, work, inputs)

    metadata = {
        "settings": dataclasses.asdict(settings),
        "preparation": f"preprocess_volume: {preprocess_volume.__doc__.splitlines()[0]}",
    }
    return write_version(endpoints, inputs, compare, folder, card | metadata)


def signatures(network, settings):
    """By signature name: the function that answers and the tf.TensorSpec of its input."""
    side, channels = network.input_shape[1], network.input_shape[-1]
    maps = (tf.TensorSpec([None, None, None, 1], tf.float32), tf.TensorSpec([None, None, None, 1], tf.uint8))

    def masks(volumes):
        """Of volumes (B, S, H, W, C), one after the other: their memory is then that of one."""
        shape = tf.shape(volumes)
        allowed = tf.reduce_all(shape[1:] > 0) & fits(shape[1], shape[2:4], side)
        words = "a volume needs pixels, and at most 2^26 voxels, slices times longer side squared; these have the shape"
        check = tf.debugging.Assert(allowed, [words, shape], summarize=5)
        with tf.control_dependencies([check] if check is not None else []):
            # A batch of nothing is passed on as one volume: nothing has no size to answer in.
            none = tf.cast(shape[0] == 0, tf.int32)
            volumes = tf.pad(volumes, [[0, none]] + [[0, 0]] * 4)
        probability, mask = tf.map_fn(
            lambda volume: segment(network, volume, side, settings),
            volumes,
            fn_output_signature=maps,
            parallel_iterations=1,
        )
        return probability[: shape[0]], mask[: shape[0]]

    def predict(image):
        probability, mask = masks(tf.ensure_shape(image, [None, None, None, channels])[:, tf.newaxis])
        return {"probability": probability[:, 0], "mask": mask[:, 0]}

    def predict_volume(volume):
        probability, mask = masks(tf.ensure_shape(volume, [None, None, None, None, channels]))
        voxels = tf.reduce_sum(tf.cast(mask, tf.int32), [1, 2, 3, 4])
        return {"probability": probability, "mask": mask, "tumor_voxels": voxels}

    def probabilities(image):
        image = tf.ensure_shape(image, [None, side, side, channels])
        return {"probabilities": network_probabilities(network, image, settings.mirror)}

    endpoints = {
        "serving_default": (predict, tf.TensorSpec([None, None, None, channels], tf.uint8, name="image")),
        "predict_volume": (
            predict_volume,
            tf.TensorSpec([None, None, None, None, channels], tf.uint8, name="volume"),
        ),
        "probabilities": (probabilities, tf.TensorSpec([None, side, side, channels], tf.float32, name="image")),
    }
    if channels == 3:
        endpoints["predict_bytes"] = (
            lambda image_bytes: predict_bytes(network, settings, image_bytes),
            tf.TensorSpec([None], tf.string, name="image_bytes"),
        )
    return endpoints


def fits(slices, sides, side):
    """Whether the windows, and the prepared slices of `side` pixels, have at most MOST_VOXELS: bool scalar.

    slices: int32 scalar. sides: height and width, int32 (2,).
    """
    longest = tf.cast(tf.maximum(tf.reduce_max(sides), side), tf.int64)
    return tf.cast(slices, tf.int64) * longest**2 <= MOST_VOXELS


def predict_bytes(network, settings, image_bytes):
    """What the signature predict_bytes answers, as export_segmenter describes it."""
    image_bytes = tf.ensure_shape(image_bytes, [None])
    count = tf.shape(image_bytes)[0]
    none = tf.cast(count == 0, tf.int32)
    side = network.input_shape[1]

    def one(item):
        picture, decoded = decode_or_blank(item)
        valid = decoded & fits(1, tf.shape(picture)[:2], side)
        picture = tf.cond(valid, lambda: picture, lambda: tf.zeros([1, 1, 3], tf.uint8))
        probability, mask = segment(network, picture[tf.newaxis], side, settings)
        png = tf.where(valid, tf.io.encode_png(mask[0] * 255), "")
        size = tf.where(valid, tf.shape(picture)[:2], 0)
        shown = tf.cast(valid, tf.float32)
        rows = tf.RaggedTensor.from_tensor(probability[0, ..., 0] * shown)
        covered = tf.RaggedTensor.from_tensor(mask[0, ..., 0] * tf.cast(valid, tf.uint8))
        return rows, covered, png, size, valid

    rows, covered, png, size, valid = tf.map_fn(
        one,
        tf.pad(image_bytes, [[0, none]]),
        fn_output_signature=(
            tf.RaggedTensorSpec([None, None], tf.float32, 1),
            tf.RaggedTensorSpec([None, None], tf.uint8, 1),
            tf.TensorSpec([], tf.string),
            tf.TensorSpec([2], tf.int32),
            tf.TensorSpec([], tf.bool),
        ),
        parallel_iterations=1,
    )
    together = tf.cast(count, tf.int64) * tf.reduce_prod(tf.cast(tf.reduce_max(size, 0), tf.int64))
    words = "an answer has at most 2^26 pixels, pictures times the largest height and width; send fewer; these are"
    check = tf.debugging.Assert(together <= MOST_VOXELS, [words, together])
    with tf.control_dependencies([check] if check is not None else []):
        rows, covered = tf.identity(rows), tf.identity(covered)
    return {
        "probability": rows.to_tensor()[:count, ..., tf.newaxis],
        "mask": covered.to_tensor()[:count, ..., tf.newaxis],
        "mask_png_bytes": png[:count],
        "height": size[:count, 0],
        "width": size[:count, 1],
        "valid": valid[:count],
    }
