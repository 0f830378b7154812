import json
from pathlib import Path

import pytest
from test_client import answering  # noqa: F401

from kerascnn import verbs
from kerascnn.errors import InputError, UsageError


def test_a_server_with_another_kind_of_model_is_told_apart(answering):  # noqa: F811
    address, _ = answering(200, json.dumps({"outputs": {"probabilities": [[0.5, 0.5]]}}).encode())
    with pytest.raises(InputError, match=r"answers for digits without class_name, score; serve our export"):
        verbs.classifier("digits", None, address)([b"picture"], "predict_bytes")


def test_inputs_of_one_name_get_places_of_their_own():
    named = [(Path(f"scans/{i}"), name) for i, name in enumerate(("a", "a", "a-2", "b", "a"))]
    places = verbs.places_of(named, Path("out"))
    assert places == [Path("out") / name for name in ("a", "a-2", "a-2-2", "b", "a-3")]
    assert verbs.places_of(named[:2], Path("out"), ".png") == [Path("out/a.png"), Path("out/a-2.png")]


@pytest.mark.parametrize("other", ["scans/a", "scans/a/mask.png", "scans/a/masks/a_1_mask.png"])
def test_nothing_that_is_read_lies_where_anything_is_written(other):
    words = f"^{other} is read and would be written over, at scans/a; choose another folder with --pictures$"
    with pytest.raises(UsageError, match=words):
        verbs.places_of([(Path("scans/a.png"), "a"), (Path(other), "b")], Path("scans"))
