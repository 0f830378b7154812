"""The shipped networks, as a user of Keras alone loads them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import kerascnn as kc
from kerascnn.datasets.resizing import ResizeAndCrop
from kerascnn.decoding import decode_image

SHIPPED = Path(__file__).parents[2] / "saved_models"
PHOTO = SHIPPED.parent / "docs" / "images" / "cat.jpg"

LOAD = """
import sys, keras
for file in sys.argv[1:]:
    model = keras.saving.load_model(file)
    print(model.name, model.compiled, model.input.name, model.layers[-1].name, model.layers[-1].compute_dtype)
print([name for name in sys.modules if name.startswith("kerascnn")])
"""


def test_a_photo_is_named_right_after_cloning():
    for name in ("cifar10_fast", "cifar10_resnet20"):
        answer = kc.load_predictor(SHIPPED / name).predict(PHOTO)
        assert answer["class_name"].tolist() == ["cat"]
    readme = (SHIPPED.parent / "README.md").read_text(encoding="utf-8")
    (score,) = kc.load_predictor(SHIPPED / "cifar10_fast").predict(PHOTO)["score"]
    assert f"docs/images/cat.jpg\tcat\t{score:.4f}\n" in readme


@pytest.mark.parametrize("name", ["cifar10_fast", "cifar10_resnet20"])
def test_photos_are_decoded_as_in_training(name, tmp_path):
    photo, turned = Image.open(PHOTO), Image.Exif()
    turned[0x0112] = 6  # the orientation
    photo.save(tmp_path / "turned.jpg", exif=turned)
    photo.save(tmp_path / "turned.png", exif=turned)
    photo.save(tmp_path / "keyed.png", transparency=photo.getpixel((0, 0)))
    photo.save(tmp_path / "photo.webp")
    photo.resize((6500, 5000)).save(tmp_path / "large.jpg")  # 32 megapixels
    files, resize = sorted(tmp_path.iterdir()), ResizeAndCrop((32, 32))
    decoded = [decode_image(file.read_bytes(), resize.shortest)[tf.newaxis] for file in files]
    predictor = kc.load_predictor(SHIPPED / name)
    expected = predictor.predict(np.concatenate([resize(image) for image in decoded]))["probabilities"]
    assert np.abs(expected - expected[0]).max() > 0.01
    np.testing.assert_allclose(predictor.predict(files)["probabilities"], expected, atol=1e-4)


def test_the_networks_for_cifar10_take_less_than_20_mb():
    files = [file for name in ("cifar10_fast", "cifar10_resnet20") for file in (SHIPPED / name).rglob("*")]
    not_shipped = {"mistakes.png", "answers.png", "confusion.csv"}  # which evaluate leaves there
    assert sum(file.stat().st_size for file in files if file.is_file() and file.name not in not_shipped) < 20e6


@pytest.mark.slow
def test_keras_loads_them_without_kerascnn(tmp_path):
    files = [str(SHIPPED / name / "model.keras") for name in ("digits", "tumors")]
    command = [sys.executable, "-c", LOAD, *files]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == [
        "lenet5 False image logits float32",
        "unet_buda False image logits float32",
        "[]",
    ]
