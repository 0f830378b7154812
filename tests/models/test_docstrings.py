"""A builder's file tells its story in one order."""

import re
import sys

import pytest

from kerascnn.models import MODELS

DOCSTRINGS = {build.__module__: sys.modules[build.__module__].__doc__ for build in MODELS.values()}


@pytest.mark.parametrize("module", DOCSTRINGS)
def test_a_builder_file_tells_its_story_in_order(module):
    text = DOCSTRINGS[module]
    assert re.match(r"[^\n]+\.\n\n", text), "the first line is the title"
    parts = [re.search(rf"(?:^|  ){part} +\S", text, re.MULTILINE) for part in ("Paper", "Idea", "Input", "Output")]
    parts.append(re.search(r"^Differs from the paper$", text, re.MULTILINE))
    assert None not in parts
    assert [part.start() for part in parts] == sorted(part.start() for part in parts)
