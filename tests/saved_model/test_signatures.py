import json

import pytest

from kerascnn.saved_model.signatures import Signature, Tensor, signatures_in
from tests.http_server import CLASSES, CLASSIFIER, metadata

BYTES = {"image_bytes": Tensor("string", (None,))}


def test_metadata_give_names_types_and_sizes():
    found = signatures_in(json.loads(metadata(CLASSIFIER)))
    assert found["predict_bytes"] == Signature("image_bytes", Tensor("string", (None,)), CLASSES)
    assert found["serving_default"].outputs["probabilities"] == Tensor("float32", (None, 10))


def test_signatures_of_other_types_and_with_other_than_one_input_are_left_out():
    # a SavedModel of TensorFlow 2 has a signature without inputs
    pair = {"a": Tensor("int32", (None,)), "b": Tensor("int32", (None,))}
    said = metadata({"good": (BYTES, pair), "two": (pair, BYTES), "__saved_model_init_op": ({}, pair)})
    assert set(signatures_in(json.loads(said))) == {"good"}
    said = metadata({"half": (BYTES, {"x": Tensor("float16", (None,))})}).replace(b"DT_HALF", b"DT_BFLOAT16")
    assert signatures_in(json.loads(said)) == {}


@pytest.mark.parametrize(
    ("tensor", "words", "fitting", "others"),
    [
        (Tensor("uint8", (None, 2)), "uint8 (any, 2)", [(5, 2), (0, 2), None], [(5, 3), (5,), (5, 2, 1)]),
        (Tensor("string", (None,)), "string (any,)", [(3,), (None,)], [(), (3, 1)]),
        (Tensor("float32", ()), "float32 ()", [()], [(1,)]),
        (Tensor("bool", None), "bool", [(), (1, 2)], []),
    ],
)
def test_a_tensor_says_what_fits(tensor, words, fitting, others):
    assert str(tensor) == words
    assert all(tensor.fits(shape) for shape in fitting)
    assert not any(tensor.fits(shape) for shape in others)
