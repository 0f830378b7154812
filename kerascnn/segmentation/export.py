"""A trained segmentation network as a SavedModel: preprocessing, network, post-processing and PNG masks inside.

Written and verified as classification.export does it; every volume of a batch is preprocessed and post-processed alone,
so a server that puts requests together never mixes patients.
"""

import dataclasses
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerascnn.decoding import checked, decode_or_blank
from kerascnn.decoding.headers import let_in
from kerascnn.errors import UsageError
from kerascnn.images import MOST_VOXELS
from kerascnn.saved_model.archive import described, write_version
from kerascnn.saved_model.folding import folded, in_float32
from kerascnn.saved_model.verification import ON_EXAMPLES, ON_NOISE, check_examples, verify_answers
from kerascnn.segmentation.inference import MaskSettings, network_probabilities, segment, volume_probabilities
from kerascnn.segmentation.preprocessing import RESIZING
from kerascnn.training.run_folder import check_logits, main_head, plain, run_card


def export(model, folder, preprocessing=None, examples=None):
    """kerascnn.export of a segmentation network: the path of the version.

    Raises UsageError unless its input is a square of a fixed size, and its logits are of as many pixels.
    """
    model = main_head(plain(model))
    check_logits(model)
    height, width, channels = model.input_shape[1:]
    if height is None or height != width:
        raise UsageError(
            f"model {model.name} takes images of {height}x{width}; build it for a square, as (256, 256, 3)",
            argument="model",
        )
    if model.output_shape[1:3] != (height, width) or model.output_shape[3] not in (1, 2):
        words = f"model {model.name} answers {'x'.join(map(str, model.output_shape[1:]))} for {height}x{width} pixels"
        raise UsageError(f"{words}; give one of as many pixels and one or two channels", argument="model")
    tolerance = ON_EXAMPLES
    if examples is None:
        examples = np.random.default_rng(0).integers(0, 256, (2, height, width, channels), np.uint8)
        tolerance = ON_NOISE
    check_examples(examples, (channels,))
    if preprocessing is not None and not hasattr(preprocessing, "preprocess"):
        words = f"preprocessing is {preprocessing!r}, which is no Preprocessing"
        raise UsageError(f"{words}; see kerascnn.segmentation.inference.Preprocessing", argument="preprocessing")
    preprocessing, card = preprocessing or RESIZING, run_card(model, folder)
    return export_segmenter(model, preprocessing, MaskSettings(), folder, card, examples, tolerance=tolerance)


def export_segmenter(model, preprocessing, settings, folder, card, warmup_volume, *, tolerance=ON_EXAMPLES):
    """Write `model` as the next version of the SavedModel in `folder`; the path of that version's folder.

    model: a segmentation network with the input `image` (size, size, C) and logits of as many pixels. preprocessing,
    settings: the Preprocessing and the MaskSettings it is served with. card: a dict for JSON. warmup_volume: uint8
    (S, H, W, C), which verification and the warm-up requests use.

    Signatures (every answer has probability float32 in [0, 1] and mask uint8 of 0 and 1):

        serving_default   image uint8 (B, H, W, C)            both (B, H, W, 1); each image is a volume of one slice
        predict_volume    volume uint8 (B, S, H, W, C)        both (B, S, H, W, 1), and tumor_voxels int32 (B,)
        predict_bytes     image_bytes string (B,)             both (B, H, W, 1), as large as the largest image and 0
                                                              beside the others; height and width int32 (B,); valid
                                                              bool (B,); mask_png_bytes (B,) of 0 and 255. If C is 3.
                                                              valid is false where bytes are no image, or one of a
                                                              longer side than 8,192
        probabilities     image float32 (B, size, size, C)    probabilities (B, size, size, 1), of preprocessed slices

    A volume of more than 2^26 voxels, slices times longer side squared, is an error, and so is predict_bytes's answer
    of more pixels.

    Raises InputError when `folder` cannot be written to, and RuntimeError when a consumer cannot read what was written
    or its probabilities differ by more than `tolerance`.
    """
    network, folder = in_float32(model), Path(folder).resolve()
    endpoints = signatures(folded(network), preprocessing, settings)
    with tf.device("CPU"):
        images = preprocessing.preprocess(tf.constant(warmup_volume), network.input_shape[1]).numpy()
        expected = answers_of_keras(network, preprocessing, warmup_volume, images, settings.flip_tta)
    inputs = {
        "serving_default": warmup_volume,
        "predict_volume": warmup_volume[np.newaxis],
        "probabilities": images,
    }
    if "predict_bytes" in endpoints:
        inputs["predict_bytes"] = np.array([tf.io.encode_png(image).numpy() for image in warmup_volume])

    def compare(version, work):
        outputs = {name: "probabilities" if name == "probabilities" else "probability" for name in inputs}
        return verify_answers(version, work, inputs, outputs, expected, tolerance)

    metadata = {
        "settings": dataclasses.asdict(settings),
        "preprocessing": described(preprocessing.preprocess),
    }
    return write_version(endpoints, inputs, compare, folder, card | metadata)


def answers_of_keras(network, preprocessing, volume, images, flip_tta):
    """{signature: probabilities} of a volume uint8 (S, H, W, C), whose preprocessed slices are `images`."""
    whole = volume_probabilities(network, preprocessing, tf.constant(volume), flip_tta).numpy()
    slices = [
        volume_probabilities(network, preprocessing, tf.constant(image[np.newaxis]), flip_tta).numpy()
        for image in volume
    ]
    single = np.concatenate(slices)
    return {
        "serving_default": single,
        "predict_bytes": single,
        "predict_volume": whole[np.newaxis],
        "probabilities": network_probabilities(network, images, flip_tta).numpy(),
    }


def signatures(network, preprocessing, settings):
    """By signature name: the function that answers and the tf.TensorSpec of its input."""
    size, channels = network.input_shape[1], network.input_shape[-1]

    def predict(image):
        volumes = tf.ensure_shape(image, [None, None, None, channels])[:, tf.newaxis]
        probabilities, mask = segment_each(network, preprocessing, settings, volumes)
        return {"probability": probabilities[:, 0], "mask": mask[:, 0]}

    def predict_volume(volume):
        volumes = tf.ensure_shape(volume, [None, None, None, None, channels])
        probabilities, mask = segment_each(network, preprocessing, settings, volumes)
        voxels = tf.reduce_sum(tf.cast(mask, tf.int32), [1, 2, 3, 4])
        return {"probability": probabilities, "mask": mask, "tumor_voxels": voxels}

    def predict_preprocessed(image):
        image = tf.ensure_shape(image, [None, size, size, channels])
        return {"probabilities": network_probabilities(network, image, settings.flip_tta)}

    endpoints = {
        "serving_default": (predict, tf.TensorSpec([None, None, None, channels], tf.uint8, name="image")),
        "predict_volume": (
            predict_volume,
            tf.TensorSpec([None, None, None, None, channels], tf.uint8, name="volume"),
        ),
        "probabilities": (predict_preprocessed, tf.TensorSpec([None, size, size, channels], tf.float32, name="image")),
    }
    if channels == 3:
        endpoints["predict_bytes"] = (
            lambda image_bytes: predict_bytes(network, preprocessing, settings, image_bytes),
            tf.TensorSpec([None], tf.string, name="image_bytes"),
        )
    return endpoints


def segment_each(network, preprocessing, settings, volumes):
    """What `segment` makes of volumes (B, S, H, W, C), one after the other: their memory is then that of one."""
    shape = tf.shape(volumes)
    allowed = tf.reduce_all(shape[1:] > 0) & fits(shape[1], shape[2:4], network.input_shape[1])
    words = "a volume needs pixels, and at most 2^26 voxels, slices times longer side squared; these have the shape"
    # A batch of nothing is passed on as one volume: nothing has no size to answer in.
    none = tf.cast(shape[0] == 0, tf.int32)
    volumes = tf.pad(checked(volumes, allowed, words, shape), [[0, none]] + [[0, 0]] * 4)
    probabilities, mask = tf.map_fn(
        lambda volume: segment(network, preprocessing, volume, settings),
        volumes,
        fn_output_signature=tuple(tf.TensorSpec([None, None, None, 1], dtype) for dtype in (tf.float32, tf.uint8)),
        parallel_iterations=1,
    )
    return probabilities[: shape[0]], mask[: shape[0]]


def fits(slices, sides, size):
    """Whether the windows, and the preprocessed slices of `size` pixels, have at most MOST_VOXELS: bool scalar.

    slices: int32 scalar. sides: height and width, int32 (2,).
    """
    longest = tf.cast(tf.maximum(tf.reduce_max(sides), size), tf.int64)
    return tf.cast(slices, tf.int64) * longest**2 <= MOST_VOXELS


def predict_bytes(network, preprocessing, settings, image_bytes):
    """What the signature predict_bytes answers, as export_segmenter describes it."""
    image_bytes = tf.ensure_shape(image_bytes, [None])
    count = tf.shape(image_bytes)[0]
    none = tf.cast(count == 0, tf.int32)

    def one(item):
        image, decoded = decode_or_blank(item)
        valid = decoded & fits(1, tf.shape(image)[:2], network.input_shape[1])
        image = tf.cond(valid, lambda: image, lambda: tf.zeros([1, 1, 3], tf.uint8))
        probabilities, mask = segment(network, preprocessing, image[tf.newaxis], settings)
        png = tf.where(valid, tf.io.encode_png(mask[0] * 255), "")
        size = tf.where(valid, tf.shape(image)[:2], 0)
        probabilities = tf.RaggedTensor.from_tensor(probabilities[0, ..., 0] * tf.cast(valid, tf.float32))
        mask = tf.RaggedTensor.from_tensor(mask[0, ..., 0] * tf.cast(valid, tf.uint8))
        return probabilities, mask, png, size, valid

    probabilities, masks, png, size, valid = tf.map_fn(
        one,
        let_in(tf.pad(image_bytes, [[0, none]])),
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
    words = "an answer has at most 2^26 pixels, images times the largest height and width; send fewer; these are"
    probabilities, masks = checked((probabilities, masks), together <= MOST_VOXELS, words, together)
    return {
        "probability": probabilities.to_tensor()[:count, ..., tf.newaxis],
        "mask": masks.to_tensor()[:count, ..., tf.newaxis],
        "mask_png_bytes": png[:count],
        "height": size[:count, 0],
        "width": size[:count, 1],
        "valid": valid[:count],
    }
