import csv
import io
import json
from pathlib import Path

import pytest

from apps import digits, images, tumors
from kerascnn.cli import app as cli
from kerascnn.cli import classification
from kerascnn.cli.answers import as_line
from kerascnn.errors import InputError, UsageError
from kerascnn.saved_model.signatures import Tensor
from tests.http_server import CLASSES, columns, served

TOP = {"top_names": Tensor("string", (None, 2)), "top_scores": Tensor("float32", (None, 2))}
SAID = {"predict_bytes": ({"image_bytes": Tensor("string", (None,))}, {**CLASSES, **TOP})}
ANSWER = columns(
    class_name=["cat", "", "d\tog"],
    score=[0.625, 0, 0.5],
    valid=[True, False, True],
    top_names=[["cat", "d\tog"], ["", ""], ["d\tog", "cat"]],
    top_scores=[[0.625, 0.375], [0, 0], [0.5, 0.5]],
)


@pytest.fixture
def predicted(tmp_path, capsys):
    """predicted(form, reject) -> (stdout of `predict`, the files), of which the second is no image."""
    files = [tmp_path / name for name in ("a.png", "notes.txt", "b,c.png")]
    for file in files:
        file.write_bytes(b"")

    def run(form, reject=0.0, said=SAID):
        with served(ANSWER, said) as (address, _), pytest.raises(InputError) as raised:
            classification.predict(files, "digits", None, address.removesuffix("/v1/models/digits"), form, reject)
        if said is SAID:
            assert str(raised.value).startswith(f"cannot decode {files[1]}; give PNG")
        return capsys.readouterr().out, files, str(raised.value)

    return run


def test_json_says_the_most_probable_classes_and_which_file_is_no_image(predicted):
    out, files, _ = predicted("json")
    first, second, third = map(json.loads, out.splitlines())
    top = [{"class": "cat", "score": 0.625}, {"class": "d\tog", "score": 0.375}]
    assert first == {"file": str(files[0]), "class": "cat", "score": 0.625, "top": top, "valid": True}
    assert second == {"file": str(files[1]), "class": None, "score": None, "top": [], "valid": False}
    assert third["class"] == "d\tog"


def test_csv_has_a_header_a_row_for_every_file_and_quotes_names_with_a_comma(predicted):
    out, files, _ = predicted("csv")
    rows = list(csv.reader(io.StringIO(out)))
    assert rows[0] == ["file", "class", "score"]
    assert rows[1:] == [[str(files[0]), "cat", "0.6250"], [str(files[1]), "", ""], [str(files[2]), r"d\tog", "0.5000"]]


@pytest.mark.parametrize(("reject", "classes"), [(0.5, ["cat", r"d\tog"]), (0.6, ["cat", "unsure"])])
def test_below_the_probability_that_is_asked_for_the_class_is_unsure(reject, classes, predicted):
    for form, separator in (("lines", "\t"), ("csv", ",")):
        rows = [line.rsplit(separator, 2) for line in predicted(form, reject)[0].splitlines()]
        assert [name for _, name, score in rows if score not in ("", "score")] == classes
    objects = [json.loads(line) for line in predicted("json", reject)[0].splitlines()]
    assert objects[2]["class"] == ("unsure" if "unsure" in classes else "d\tog")
    assert objects[2]["top"][0] == {"class": "d\tog", "score": 0.5}


def test_a_model_that_does_not_name_the_most_probable_classes_answers_lines_but_no_json(predicted):
    said = {"predict_bytes": ({"image_bytes": Tensor("string", (None,))}, CLASSES)}
    words = "answers predict_bytes without top_names string (any, any), top_scores float32 (any, any); serve our export"
    assert words in predicted("json", said=said)[2]
    assert predicted("lines", said=said)[0].count("\n") == 2


@pytest.mark.parametrize("app", [digits.app, images.app, tumors.app], ids=["digits", "images", "tumors"])
def test_a_flag_for_files_without_any_is_an_error(app, capsys):
    with pytest.raises(SystemExit, match="^2$"):
        cli.run(app, ["predict", "--files"])
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("reject", [-0.1, 1.5, float("nan")])
def test_what_is_no_probability_rejects_nothing(reject, tmp_path):
    words = f"^reject is {reject:g}; give a probability from 0 to 1, 0 to take every answer$"
    with pytest.raises(UsageError, match=words) as raised:
        classification.predict([tmp_path / "none.png"], "digits", None, None, "lines", reject)
    assert raised.value.argument == "reject"


def test_a_file_name_with_control_characters_is_one_line_and_bytes_that_are_no_utf8_stay():
    assert as_line(Path("a\n\x1b[31m\u202eü\udcff.png")) == "a\\n\\x1b[31m\\u202eü\udcff.png"
