import json

import pytest
from test_client import answering  # noqa: F401

from kerascnn import verbs
from kerascnn.errors import InputError


def test_a_server_with_another_kind_of_model_is_told_apart(answering):  # noqa: F811
    address, _ = answering(200, json.dumps({"outputs": {"probabilities": [[0.5, 0.5]]}}).encode())
    with pytest.raises(InputError, match=r"answers for digits without class_name, score; serve our export"):
        verbs.classifier("digits", None, address)([b"picture"], "predict_bytes")
