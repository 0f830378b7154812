"""Every file that is read, damaged at random: it reads right, or is refused with its name, soon and in little memory.

`python -m tests.test_mutations [COUNT] [NAME…]` prints a table of it.
"""

import functools
import json
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from kerascnn.cli.folders import RUNS, SHIPPED
from tests.mutations import survey

DRAW = np.random.default_rng(0)
IMAGE = np.kron(DRAW.integers(0, 256, (6, 5, 3), np.uint8), np.ones((4, 4, 1), np.uint8))
ARRAYS = {name: DRAW.random(shape, np.float32) for name, shape in {"a/kernel": (3, 8), "b/kernel": (8, 2)}.items()}


def same(found, expected):
    """Whether two dicts hold the same arrays."""
    return found.keys() == expected.keys() and all(np.array_equal(found[name], expected[name]) for name in found)


def write_image(path, metadata):
    """IMAGE; with metadata a turned one and what cameras and editors add: EXIF, a profile of colours, XMP."""
    if not metadata:
        cv2.imwrite(str(path), IMAGE)
        return
    from PIL import Image, ImageCms

    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "maker", 0x0132: "2026:11:29 12:00:00"})
    exif.get_ifd(0x8769).update({0x9286: b"a comment" * 9, 0x927C: bytes(range(64))})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(IMAGE).save(path, exif=exif, icc_profile=profile, xmp=b"<x:xmpmeta/>" * 9)


def image(suffix, metadata=False):
    def make(folder):
        from kerascnn.images import load_image

        path = folder / f"image{suffix}"
        write_image(path, metadata)
        return path, lambda: load_image(path), lambda found: (found.dtype, found.shape[2:]) == (np.uint8, (3,))

    return make


@functools.cache
def decoder():
    """decode(encoded images (B,)) -> (float32 (B, 8, 8, 3), valid bool (B,)), as a SavedModel does it."""
    import tensorflow as tf

    from kerascnn.decoding import preprocess_bytes

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def decode(contents):
        return preprocess_bytes(contents, lambda images: tf.image.resize(images, (8, 8)), (8, 8, 3))

    return decode


def served_image(suffix, metadata=False):
    """What does not decode is answered as such, in the place of an error."""

    def make(folder):
        path = folder / f"image{suffix}"
        write_image(path, metadata)

        def is_right(found):
            images, valid = found
            return images.shape == (1, 8, 8, 3) and (bool(valid[0]) or not np.any(images))

        return path, lambda: decoder()(np.array([path.read_bytes()])), is_right

    return make


def scan(suffix, checked):
    def make(folder):
        import nibabel

        from kerascnn.tumors.scans import read_scan

        path = folder / f"scan{suffix}"
        if suffix == ".tif":
            cv2.imwrite(str(path), IMAGE)
        else:
            volume = np.random.default_rng(0).integers(0, 3000, (9, 8, 7)).astype(np.int16)
            nibabel.save(nibabel.Nifti1Image(volume, np.diag([1, 2, 3, 1])), path)
        expected = read_scan(path, 3, ()).images

        def is_right(found):
            return np.array_equal(found, expected) if checked else (found.dtype, found.ndim) == (np.uint8, 4)

        return path, lambda: read_scan(path, 3, ()).images, is_right

    return make


def weights(suffix, checked, write):
    def make(folder):
        from kerascnn.pretrained.readers import read_weights

        path = folder / f"weights{suffix}"
        write(path)
        return (
            path,
            lambda: read_weights(path),
            lambda found: same(found, ARRAYS) if checked else isinstance(found, dict),
        )

    return make


def write_safetensors(path):
    from safetensors.numpy import save_file

    save_file(ARRAYS, path)


def write_h5(path):
    import h5py

    with h5py.File(path, "w") as file:
        for name, array in ARRAYS.items():
            file[name] = array


def write_pytorch(path):
    from tests.pretrained.test_pytorch import write_zip

    write_zip(path, ARRAYS)


def write_older_pytorch(path):
    from tests.pretrained.test_pytorch import write_older

    write_older(path, ARRAYS)


def network():
    import keras

    keras.utils.set_random_seed(0)
    source = keras.Input((4, 4, 1), name="image")
    return keras.Model(source, keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(source)))


def model(folder):
    from kerascnn.training.run_folder import load_model

    path, made = folder / "model.keras", network()
    made.save(path)
    expected, seen = made.get_weights(), np.ones((1, 4, 4, 1), np.float32)
    answer = np.asarray(made(seen))

    def is_right(found):
        pairs = zip(found.get_weights(), expected, strict=True)
        return all(np.array_equal(*pair) for pair in pairs) and np.allclose(found(seen), answer)

    return path, lambda: load_model(folder), is_right


def checkpoint(folder):
    from kerascnn.training.checkpoint import read_checkpoint, write_checkpoint

    path, made = folder / "checkpoint.npz", network()
    made.compile("adam", "mse")
    write_checkpoint(path, made, {"epochs": 3, "best": np.ones(4)})
    arrays, state = read_checkpoint(path)

    def is_right(found):
        return same(dict(enumerate(found[0])), dict(enumerate(arrays))) and str(found[1]) == str(state)

    return path, lambda: read_checkpoint(path), is_right


def record(app):
    """Of JSON only what an app needs is known, so another number, or letter of a name, is as valid."""

    def make(folder):
        from kerascnn.classification.inference import Inference
        from kerascnn.training.record import mismatch, read_record, recorded_in

        path, said = (
            folder / "recipe.json",
            json.loads((SHIPPED / ("tumors" if app == "tumors" else "digits") / "recipe.json").read_text()),
        )
        if app == "images":
            from kerascnn.classification.recipes import ImageRecipe
            from kerascnn.training.recipe import as_json

            said |= {"app": "images", "recipe": as_json(ImageRecipe()), "split": {"test": ["cat/1.png"]}}
        path.write_text(json.dumps(said, indent=2))

        def read():
            found = read_record(folder, RUNS[app])
            with recorded_in(folder):
                Inference.recorded(found)
            return found

        return path, read, lambda found: not mismatch(found, RUNS[app].pattern)

    return make


def metrics(folder):
    """Into an export's card goes whatever JSON an evaluation has left."""
    from kerascnn.training.run_folder import run_card

    path = folder / "metrics.json"
    path.write_text(json.dumps({"accuracy": 0.99, "errors": [3, 7], "confusion": [[1, 0], [0, 1]]}, indent=2))
    made = network()
    return path, lambda: run_card(made, folder)["metrics"], lambda found: type(found) is dict


def saved_model(file):
    """Read by its checksum alone; TensorFlow takes seconds for what has none, and can end the process."""

    def make(folder):
        import shutil

        from kerascnn.files import write_json
        from kerascnn.saved_model.versions import CARD, check_digests, digests

        version = shutil.copytree(SHIPPED / "digits" / "1", folder / "1")
        if not file.endswith("card.json"):
            write_json(version / CARD, {"sha256": digests(version)})
        whole = (version / file).read_bytes()

        def read():
            check_digests(version)
            return (version / file).read_bytes()

        return version / file, read, lambda found: found == whole or file.endswith("card.json")

    return make


def tfrecords(folder):
    import tensorflow as tf

    from kerascnn.datasets.image_records import image_records

    path = folder / "images.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number in range(20):
            png = tf.train.Feature(bytes_list=tf.train.BytesList(value=[cv2.imencode(".png", IMAGE)[1].tobytes()]))
            label = tf.train.Feature(int64_list=tf.train.Int64List(value=[number % 2]))
            features = tf.train.Features(feature={"image": png, "label": label})
            writer.write(tf.train.Example(features=features).SerializeToString())

    def read():
        return image_records(folder, (8, 8), validation=0, test=0)

    # nothing says how many records there are: cut off between two of them it is a file of fewer
    return path, read, lambda found: 0 < len(found.train) <= 20


def table(folder):
    from kerascnn.datasets.image_table import image_table

    for number in range(40):
        cv2.imwrite(str(folder / f"{number}.png"), IMAGE)
    path = folder / "labels.csv"
    path.write_text("file,label,split\n" + "".join(f"{number}.png,{'ab'[number % 2]},\n" for number in range(40)))
    return path, lambda: image_table(path, (8, 8), validation=0, test=0), lambda found: len(found.train) > 0


FILES = {
    "checkpoint.npz": checkpoint,
    "model.keras": model,
    **{f"recipe.json, {app}": record(app) for app in RUNS},
    "metrics.json": metrics,
    "saved_model.pb": saved_model("saved_model.pb"),
    "variables": saved_model("variables/variables.data-00000-of-00001"),
    "variables.index": saved_model("variables/variables.index"),
    "card.json": saved_model("assets.extra/card.json"),
    "weights .npz": weights(".npz", True, lambda path: np.savez(path, **ARRAYS)),
    "weights .npz, compressed": weights(".npz", True, lambda path: np.savez_compressed(path, **ARRAYS)),
    "weights .safetensors": weights(".safetensors", False, write_safetensors),
    "weights .h5": weights(".h5", False, write_h5),
    "weights .pth": weights(".pth", True, write_pytorch),
    "weights .pth, older": weights(".pth", False, write_older_pytorch),
    **{f"image {suffix}": image(suffix) for suffix in (".png", ".jpg", ".webp", ".bmp")},
    **{f"image {suffix}, metadata": image(suffix, True) for suffix in (".png", ".jpg", ".webp")},
    **{f"served image {suffix}": served_image(suffix) for suffix in (".png", ".jpg", ".webp", ".bmp")},
    **{f"served image {suffix}, metadata": served_image(suffix, True) for suffix in (".png", ".jpg", ".webp")},
    "scan .tif": scan(".tif", False),
    "scan .nii": scan(".nii", False),
    "scan .nii.gz": scan(".nii.gz", True),
    "images.tfrecord": tfrecords,
    "labels.csv": table,
}

LONG = {"images.tfrecord": pytest.mark.long}  # TensorFlow makes a pipeline for each


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's peak of memory")
@pytest.mark.parametrize("count", [50, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [pytest.param(name, marks=LONG.get(name, ())) for name in FILES])
def test_a_damaged_file_is_read_right_or_refused_by_name_soon_and_in_little_memory(name, count, tmp_path):
    found = survey(*FILES[name](tmp_path), count)
    assert found.escapes == {}
    assert found.right + found.refused == count
    assert found.seconds < 10
    assert found.mebibytes < 1024


def main(count=2000, *names):
    print("| file | mutations | read | refused | escaped | longest, s | memory, MiB |\n|---|---|---|---|---|---|---|")
    for name, make in FILES.items():
        if not names or name in names:
            with tempfile.TemporaryDirectory() as folder:
                found = survey(*make(Path(folder)), int(count))
            row = found.right, found.refused, sum(map(len, found.escapes.values())), f"{found.seconds:.2f}"
            print("|", " | ".join(map(str, (name, count, *row, f"{found.mebibytes:.0f}"))), "|", flush=True)
            for words, places in found.escapes.items():
                print("   ", words, len(places), places[0], file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
