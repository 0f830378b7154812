"""Photos in folders; the files are real, drawn and written with OpenCV."""

import os

import cv2
import keras
import numpy as np
import pytest

import kerascnn as kc
from kerascnn.datasets.batches import evaluation_batches
from kerascnn.errors import InputError, UsageError
from tests.interrupting import Stop, run_whole_and_killed

ENDINGS = "jpg", "png", "bmp", "JPEG"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """40 circles and 20 lines, in files of three formats and several sizes, some in a folder below."""
    root, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name, count in (("circle", 40), ("line", 20)):
        (root / name / "more").mkdir(parents=True)
        for number in range(count):
            image = np.zeros((*random.integers(40, 80, 2), 3), np.uint8)
            at, colour = random.integers(12, 40, 2).tolist(), [255 * (number % 3 == channel) for channel in range(3)]
            cv2.circle(image, at, 8, colour, -1) if name == "circle" else cv2.line(image, (0, 0), at, colour, 3)
            folder = root / name / ("more" if number % 5 == 0 else "")
            cv2.imwrite(str(folder / f"{number}.{ENDINGS[number % 4]}"), image)
    (root / "circle" / "notes.txt").write_text("no image")
    (root / ".hidden").mkdir()
    (root / "line" / ".ipynb_checkpoints").mkdir()
    cv2.imwrite(str(root / "line" / ".ipynb_checkpoints" / "0.png"), np.zeros((50, 50, 3), np.uint8))
    return root


def test_folders_are_classes_and_shares_are_cut_off_of_each_alike(photos):
    data = kc.datasets.image_folder(photos, (32, 24), validation=0.1, test=0.25)
    parts = data.train, data.validation, data.test
    assert [np.bincount(part.labels).tolist() for part in parts] == [[26, 13], [4, 2], [10, 5]]
    assert data.class_names == ("circle", "line")
    names = np.concatenate([part.names for part in parts])
    assert len(set(names)) == 60
    assert all((photos / name).is_file() for name in names)
    assert data.train.image_shape == (32, 24, 3)
    again, other = (kc.datasets.image_folder(photos, (32, 24), validation=0.1, test=0.25, seed=seed) for seed in (0, 1))
    assert again.checksum() == data.checksum() != other.checksum()


def test_an_image_is_what_opencv_reads_and_resizes(photos):
    data = kc.datasets.image_folder(photos, (32, 24), validation=0, test=0)
    ours = np.concatenate([images for images, _ in evaluation_batches(data.train)])
    for name, image in zip(data.train.names, ours, strict=True):
        theirs = cv2.resize(cv2.imread(str(photos / name)), (24, 32), interpolation=cv2.INTER_AREA)[..., ::-1] / 255
        # every file is larger; JPEG decoders differ where colours begin
        most = 1.01 / 255 if name.endswith(("png", "bmp")) else 20 / 255
        assert np.abs(image - theirs).max() < most, name


def test_other_folders_are_taken_as_splits(photos):
    data = kc.datasets.image_folder(photos, (32, 32), validation=photos, test=0)
    assert (len(data.train), len(data.validation), data.test) == (60, 60, None)


def test_sizes_of_files_tell_data_apart(photos):
    data = kc.datasets.image_folder(photos, (32, 32))
    before, path = data.checksum(), photos / data.train.names[0]
    content = path.read_bytes()
    try:
        path.write_bytes(content + b"\0")
        assert data.checksum() != before
    finally:
        path.write_bytes(content)


def test_a_run_on_streamed_files_goes_on_to_the_same_weights(photos, tmp_path):
    moved, changed = kc.augmentation.Distortion(horizontal_flip=True), keras.layers.RandomContrast(0.3, (0, 1))
    recipe = kc.Recipe(epochs=3, batch_size=8, deterministic=True, augmentations=[moved, changed])

    def run(folder, *callbacks):
        keras.utils.set_random_seed(0)
        model = kc.models.five_layer_cnn((32, 32, 3), 2)
        data = kc.datasets.image_folder(photos, (32, 32))
        kc.fit(model, data, recipe, folder=folder, callbacks=callbacks, verbose=0)
        return model.get_weights()

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "part", Stop())
    for array, expected in zip(run(tmp_path / "part"), whole, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_files_that_are_no_image_are_named(photos, tmp_path):
    for name in ("circle", "line"):
        (tmp_path / name).mkdir()
        for number, path in enumerate(sorted((photos / name).glob("*.png"))):
            os.link(path, tmp_path / name / f"{number}.png")
    (tmp_path / "line" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    data = kc.datasets.image_folder(tmp_path, (32, 32), validation=0, test=0)
    with pytest.raises(
        InputError, match=f"^cannot decode {tmp_path}/line/broken.png; replace or delete what is no PNG"
    ):
        kc.fit(kc.models.mlp((32, 32, 3), 2), data, kc.Recipe(batch_size=4), folder=tmp_path / "run", verbose=0)


def test_a_folder_that_does_not_fit_is_an_error(photos, tmp_path):
    with pytest.raises(InputError, match=r"^cannot read .*/absent \(No such file or directory\); check the path$"):
        kc.datasets.image_folder(tmp_path / "absent", (32, 32))
    with pytest.raises(UsageError, match="^folder .* has no sub-folders; put the images of each class into one of its"):
        kc.datasets.image_folder(tmp_path, (32, 32))
    (tmp_path / "square").mkdir()
    with pytest.raises(InputError, match="^no PNG, JPEG or BMP file in the sub-folders of .*; check the path$"):
        kc.datasets.image_folder(tmp_path, (32, 32))
    with pytest.raises(
        UsageError, match="^test .* has the class square, which .* has not; give folders of the same cl"
    ):
        kc.datasets.image_folder(photos, (32, 32), test=tmp_path)
    with pytest.raises(UsageError, match=r"^image_size is \(0, 3\); give \(height, width\) in pixels$"):
        kc.datasets.image_folder(photos, (0, 3))


@pytest.mark.slow
def test_a_killed_run_on_jpegs_goes_on_to_the_same_weights(photos, tmp_path):
    code = """
import sys
import keras
import kerascnn as kc
photos, folder = sys.argv[1:]
keras.utils.set_random_seed(0)
data, model = kc.datasets.image_folder(photos, (32, 32)), kc.models.five_layer_cnn((32, 32, 3), 2)
augmentations = [kc.augmentation.Distortion(rotation=10)]
recipe = kc.Recipe(epochs=6, batch_size=8, deterministic=True, augmentations=augmentations)
kc.fit(model, data, recipe, folder=folder, verbose=0)
"""
    run_whole_and_killed(code, tmp_path, photos)
    expected, found = (kc.load_model(tmp_path / name).get_weights() for name in ("whole", "killed"))
    for array, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(array, other)
