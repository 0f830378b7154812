import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from apps import digits, tumors
from kerascnn.cli import app as cli
from kerascnn.cli.classification import classifier
from kerascnn.cli.prediction import answerer, places_of
from kerascnn.errors import InputError, UsageError
from kerascnn.saved_model.versions import latest_version
from tests.serving.test_client import answering  # noqa: F401

ROOT = Path(__file__).parents[2]


def test_a_server_with_another_kind_of_model_is_told_apart(answering):  # noqa: F811
    address, _ = answering(200, json.dumps({"outputs": {"probabilities": [[0.5, 0.5]]}}).encode())
    with pytest.raises(InputError, match=r"answers for digits without class_name, score; serve our export"):
        classifier("digits", None, address)([b"image"], "predict_bytes")


def test_a_saved_model_of_another_kind_is_told_apart(tmp_path):
    for app, other in (("digits", "tumors"), ("tumors", "digits")):
        (tmp_path / app).mkdir()
        (tmp_path / app / "1").symlink_to(latest_version(ROOT / "saved_models" / other))
    png = cv2.imencode(".png", np.zeros((32, 32, 3), np.uint8))[1].tobytes()
    with pytest.raises(InputError, match=r"answers for digits without class_name, probabilities, score; name another"):
        classifier("digits", tmp_path / "digits", None)([png], "predict_bytes")
    with pytest.raises(InputError, match=r"/1 has no signature predict_volume; name another folder$"):
        answerer("tumors", tmp_path / "tumors", None, {"mask"})(np.zeros((1, 1, 8, 8, 3)), "predict_volume")


@pytest.mark.parametrize(
    ("app", "flags"), [(digits.app, ["--label-smoothing", "0.1"]), (tumors.app, [])], ids=["digits", "tumors"]
)
def test_flags_reach_the_training(app, flags, tmp_path, monkeypatch):
    asked = {}

    def fit(*arguments, **options):
        asked.update(options, training=arguments[3])

    for module in ("kerascnn.classification.training", "kerascnn.training.fit"):
        monkeypatch.setattr(f"{module}.fit", fit)
    with pytest.raises(SystemExit, match="^0$"):
        cli.run(app, ["train", "--smoke", "--resume", "--seed", "3", "--out", str(tmp_path / "new"), *flags])
    assert asked["resume"] is True
    assert asked["augment"] is not None
    assert asked["training"].seed == asked["metadata"]["recipe"]["training"]["seed"] == 3
    if app is digits.app:
        assert asked["loss"].label_smoothing == 0.1


def test_inputs_of_one_name_get_places_of_their_own():
    named = [(Path(f"scans/{i}"), name) for i, name in enumerate(("a", "a", "a-2", "b", "a"))]
    places = places_of(named, Path("out"))
    assert places == [Path("out") / name for name in ("a", "a-2", "a-2-2", "b", "a-3")]
    assert places_of(named[:2], Path("out"), ".png") == [Path("out/a.png"), Path("out/a-2.png")]


@pytest.mark.parametrize("other", ["scans/a", "scans/a/mask.png", "scans/a/masks/a_1_mask.png"])
def test_nothing_that_is_read_lies_where_anything_is_written(other):
    words = f"^{other} is read and would be written over, at scans/a; choose another folder with --results$"
    with pytest.raises(UsageError, match=words):
        places_of([(Path("scans/a.png"), "a"), (Path(other), "b")], Path("scans"))
