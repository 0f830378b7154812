import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kerascnn.errors import InputError
from kerascnn.files import read_json_if_any, write_json
from kerascnn.saved_model.versions import (
    CARD,
    SavedModel,
    check_digests,
    digests,
    latest_version,
    load_signatures,
    versions,
)

SHIPPED = Path(__file__).parents[2] / "saved_models"


class Brightness(tf.Module):
    """Answers as an exported classifier does: numbers and text by the mean brightness of each image."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, None), tf.uint8, name="image")])
    def __call__(self, image):
        mean = tf.reduce_mean(tf.cast(image, tf.float32), (1, 2, 3))
        names = tf.where(mean > 127, "bright", "dark")
        return {"score": mean / 255, "class_name": names, "top_names": tf.stack([names, names], 1)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    module = Brightness()
    for version in ("2", "10"):
        tf.saved_model.save(module, str(folder / version), signatures={"serving_default": module.__call__})
    (folder / "3").mkdir()
    (folder / "logs").mkdir()
    (folder / "11").write_text("a file")
    return folder


def test_versions_are_integers_with_a_model_inside_in_numeric_order(folder):
    assert [path.name for path in versions(folder)] == ["2", "10"]
    assert latest_version(folder).name == "10"


def test_a_folder_without_versions_says_what_to_do(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match=r"no SavedModel under .*; export a model into it first, or name another"):
            latest_version(folder)


def test_text_comes_back_as_str_in_the_shape_of_the_output(folder):
    images = np.stack([np.full((4, 4, 1), 255, np.uint8), np.zeros((4, 4, 1), np.uint8)])
    wanted = ("class_name", "top_names", "score")
    answer = SavedModel(latest_version(folder)).call("serving_default", images, wanted)
    assert answer["class_name"].dtype.kind == "U"
    assert answer["class_name"].tolist() == ["bright", "dark"]
    assert answer["top_names"].tolist() == [["bright", "bright"], ["dark", "dark"]]
    np.testing.assert_array_equal(answer["score"], [1, 0])


def test_a_damaged_version_is_named(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"not a model")
    with pytest.raises(InputError, match=r"the SavedModel .*1 is damaged .*; restore it or export again"):
        SavedModel(latest_version(tmp_path))


def test_a_version_whose_files_are_others_than_its_card_says_is_damaged(tmp_path):
    version = shutil.copytree(SHIPPED / "digits" / "1", tmp_path / "1")
    write_json(version / CARD, {"sha256": digests(version)})
    (version / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"of one's own")
    check_digests(version)
    for file in ("saved_model.pb", "variables/variables.index"):
        content = (version / file).read_bytes()
        (version / file).write_bytes(content[:-1] + b"?")
        words = r"is damaged \(its checksum is not the one in card.json\); restore it or export again$"
        with pytest.raises(InputError, match=f"^{version / file} {words}"):
            load_signatures(version)
        (version / file).write_bytes(content)
    (version / "fingerprint.pb").unlink()
    with pytest.raises(InputError, match="^.*fingerprint.pb is damaged"):
        load_signatures(version)


@pytest.mark.parametrize("card", ["5", "{}", '{"sha256": 5}'])
def test_a_card_that_says_no_checksums_leaves_a_version_as_it_is(card, tmp_path):
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / CARD).write_text(card)
    check_digests(tmp_path)


@pytest.mark.parametrize(
    "version", sorted(path.parent for path in SHIPPED.glob("*/*/saved_model.pb")), ids=lambda path: path.parent.name
)
def test_the_card_of_a_shipped_version_has_its_checksums(version):
    assert read_json_if_any(version / CARD)["sha256"] == digests(version)
