import base64
from pathlib import Path

import pytest
from PIL import Image

from apps import digits, tumors
from kerascnn.cli import app as cli
from kerascnn.cli import classification
from kerascnn.cli import tumors as tumor_commands
from kerascnn.cli.classification import CLASSES
from kerascnn.cli.pages import DIGITS
from kerascnn.cli.prediction import places_of, predictor_of
from kerascnn.cli.tumors import MASKS
from kerascnn.errors import InputError, UsageError
from kerascnn.saved_model.signatures import Tensor
from kerascnn.saved_model.versions import latest_version
from tests.http_server import columns, served

ROOT = Path(__file__).parents[2]


def test_a_server_with_another_kind_of_model_is_told_apart():
    said = {"predict_bytes": ({"image_bytes": Tensor("string", (None,))}, {"score": Tensor("float32", (None, 2))})}
    with served(b"", said) as (address, requests):
        words = (
            r"predict_bytes without class_name string \(any,\), score float32 \(any,\), valid bool \(any,\); serve our"
        )
        with pytest.raises(InputError, match=words):
            predictor_of("digits", None, address.removesuffix("/v1/models/digits"), "predict_bytes", CLASSES)
    assert requests == []


@pytest.mark.long
def test_a_saved_model_of_another_kind_is_told_apart(tmp_path):
    for app, other in (("digits", "tumors"), ("tumors", "digits")):
        (tmp_path / app).mkdir()
        (tmp_path / app / "1").symlink_to(latest_version(ROOT / "saved_models" / other))
    words = r"answers serving_default without probabilities float32 \(any, 10\); name another folder$"
    with pytest.raises(InputError, match=words):
        predictor_of("digits", tmp_path / "digits", None, "serving_default", DIGITS)
    with pytest.raises(InputError, match=r"/1 has no signature predict_volume; name another folder$"):
        predictor_of("tumors", tmp_path / "tumors", None, "predict_volume", MASKS)


@pytest.mark.parametrize("server", ["", "127.0.0.1:8501", "ftp://host", "http://"])
def test_an_address_of_no_server_says_how_to_write_it(server, tmp_path):
    (tmp_path / "4.png").write_bytes(b"")
    words = f"^--server '{server}' is no address of a server; write it as http://127.0.0.1:8501$"
    with pytest.raises(UsageError, match=words):
        classification.predict([tmp_path / "4.png"], "digits", None, server)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"score": [7e30]}, r"answers 7e\+30 as score, which lies from 0 to 1"),
        ({"top_scores": [[-5.0, 0.5]]}, "answers -5 as top_scores, which lies from 0 to 1"),
        ({"top_scores": [[0.5]]}, r"answers top_names \(1, 2\) and top_scores \(1, 1\)"),
    ],
)
def test_a_probability_that_is_none_is_an_error(changed, words, tmp_path, capsys):
    (tmp_path / "4.png").write_bytes(b"")
    outputs = {**CLASSES, **classification.TOP}
    said = {"predict_bytes": ({"image_bytes": Tensor("string", (None,))}, outputs)}
    good = {"class_name": ["4"], "score": [0.5], "valid": [True], "top_names": [["4", "9"]], "top_scores": [[0.5, 0.5]]}
    with served(columns(**(good | changed)), said) as (address, _):
        server = address.partition("/v1/")[0]
        with pytest.raises(InputError, match=f"{words}; serve our export there, or correct the address$"):
            classification.predict([tmp_path / "4.png"], "digits", None, server, "json")


@pytest.mark.parametrize("server", ["http://host:port", "http://host?x=1", "http://host/\udcff"])
def test_an_address_that_is_none_says_how_to_write_it(server, tmp_path):
    (tmp_path / "4.png").write_bytes(b"")
    with pytest.raises(
        InputError, match=r"is no address of a served model; write it as http://127.0.0.1:8501/v1/models"
    ):
        classification.predict([tmp_path / "4.png"], "digits", None, server)


def test_what_a_server_calls_a_class_is_printed_on_its_line_and_moves_no_cursor(tmp_path, capsys):
    (tmp_path / "4.png").write_bytes(b"")
    with served(columns(class_name=["\x1b[2J4\n\tü"], score=[1], valid=[True])) as (address, _):
        classification.predict([tmp_path / "4.png"], "digits", None, address.removesuffix("/v1/models/digits"))
    assert capsys.readouterr().out == f"{tmp_path / '4.png'}\t\\x1b[2J4\\n\\tü\t1.0000\n"


def test_what_is_answered_before_an_error_is_printed(tmp_path, capsys):
    missing, *files = [tmp_path / f"{number}.png" for number in range(66)]
    for file in files:
        file.write_bytes(b"")

    def only_the_first(request, handler):
        if len(request["inputs"]) == 64:
            return columns(class_name=["4"] * 64, score=[1] * 64, valid=[True] * 63 + [False])
        handler.send_error(500)

    words = rf"^cannot read {missing} \(.*; .* answered 500 .*; cannot decode {files[63]}; give PNG"
    with served(only_the_first) as (address, _), pytest.raises(InputError, match=words):
        classification.predict([missing, *files], "digits", None, address.removesuffix("/v1/models/digits"))
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == [str(file) for file in files[:63]]


def test_what_a_server_has_rejected_before_it_fails_is_named(tmp_path):
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for number, file in enumerate(files):
        file.write_bytes(b"%d" % number)

    def failing(request, handler):
        values = [base64.b64decode(each["b64"]) for each in request["inputs"]]
        handler.send_error(400 if b"0" in values else 500)

    words = rf"^cannot predict {files[0]}: .* 400 .*; .* answered 500"
    with served(failing) as (address, _), pytest.raises(InputError, match=words):
        classification.predict(files, "digits", None, address.removesuffix("/v1/models/digits"))


def test_masks_of_another_size_than_the_scan_are_an_error(tmp_path):
    Image.new("RGB", (8, 9)).save(tmp_path / "a.png")
    said = {"predict_volume": ({"volume": Tensor("uint8", (None,) * 5)}, MASKS)}
    with served(columns(probability=[[[[[0.5]]]]], mask=[[[[[1]]]]]), said) as (address, _):
        address = address.replace("digits", "tumors")
        words = (
            rf"^{address} answers masks of shape \(1, 1, 1, 1, 1\) for .*a.png, not \(1, 1, 9, 8, 1\); serve our export"
        )
        with pytest.raises(InputError, match=words):
            tumor_commands.predict(
                [tmp_path / "a.png"], None, address.removesuffix("/v1/models/tumors"), tmp_path / "out"
            )


@pytest.mark.parametrize(
    ("app", "flags"), [(digits.app, ["--label-smoothing", "0.1"]), (tumors.app, [])], ids=["digits", "tumors"]
)
def test_flags_reach_the_training(app, flags, tmp_path, monkeypatch):
    asked = {}

    def fit(*arguments, **options):
        asked.update(options, training=arguments[2])

    monkeypatch.setattr("kerascnn.training.fit.fit", fit)
    with pytest.raises(SystemExit, match="^0$"):
        cli.run(app, ["train", "--smoke", "--resume", "--seed", "3", "--out", str(tmp_path / "new"), *flags])
    assert asked["resume"] is True
    assert asked["training"].augmentations
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
