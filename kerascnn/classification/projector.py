"""Vectors for TensorBoard's embedding projector, which draws them in two or three dimensions, each as its image.

The files and the text format of projector_config.pbtxt are those of tensorboard/plugins/projector; its page asks for
sprites of at most 8192 pixels a side, in square grids.
"""

import json

import cv2
import numpy as np

from kerascnn.classification.plots import images_of
from kerascnn.errors import printable
from kerascnn.files import write_aside
from kerascnn.images import save_image

LARGEST_SPRITE, LARGEST_IMAGE = 8192, 64  # pixels along a side


def write_projector(folder, features, examples, class_names, names=None):
    """Write what `tensorboard --logdir FOLDER` shows of features in its projector; folder: a Path.

    features: {layer: float (N, …)}, a point an example, feature maps flattened. examples: N Examples or ImageFiles.
    names: what the examples are called, texts (N,); default: their numbers. Files: `vectors-1.tsv`, … a layer,
    `metadata.tsv`, `sprite.png` and, last, `projector_config.pbtxt`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = range(len(examples)) if names is None else names
    pairs = zip((class_names[label] for label in examples.labels), map(str, names), strict=True)
    rows = ["\t".join(map(printable, pair)) for pair in pairs]
    write_aside(folder / "metadata.tsv", lambda path: path.write_text("\n".join(["class\tname", *rows, ""]), "utf-8"))
    height, width = write_sprite(folder / "sprite.png", examples)
    blocks = []
    for number, (layer, vectors) in enumerate(features.items(), 1):
        flat = vectors.reshape(len(vectors), -1)
        write_aside(folder / f"vectors-{number}.tsv", lambda path, flat=flat: np.savetxt(path, flat, "%.6g", "\t"))
        sprite = f'sprite {{ image_path: "sprite.png" single_image_dim: {width} single_image_dim: {height} }}'
        blocks.append(
            f'embeddings {{ tensor_name: {json.dumps(layer)} tensor_path: "vectors-{number}.tsv" '
            f'metadata_path: "metadata.tsv" {sprite} }}\n'
        )
    write_aside(folder / "projector_config.pbtxt", lambda path: path.write_text("".join(blocks), "utf-8"))


def write_sprite(path, examples):
    """Write all images of Examples or ImageFiles in one square grid, row by row; (height, width) of each in it."""
    columns = int(np.ceil(len(examples) ** 0.5))
    most = min(LARGEST_IMAGE, LARGEST_SPRITE // columns)
    height, width = examples.image_shape[:2]
    scale = min(1, most / max(height, width))
    height, width = max(1, round(scale * height)), max(1, round(scale * width))
    sheet = np.full((columns, height, columns, width, 3), 255, np.uint8)
    for number, image in enumerate(images_of(examples)):
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        sheet[number // columns, :, number % columns] = np.rint(255 * small.reshape(height, width, -1))
    pixels = sheet.reshape(columns * height, columns * width, 3)
    save_image(path, pixels[..., ::-1].copy())  # OpenCV's order of colours
    return height, width
