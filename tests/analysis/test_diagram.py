"""The diagram of a network: its blocks, and a file of the right kind."""

import cv2
import pytest

from kerascnn.analysis.diagram import blocks, draw_diagram
from kerascnn.analysis.summary import symbolic_model
from kerascnn.errors import InputError


def test_the_blocks_of_vgg16_are_its_stages():
    sides = [("stage1", (112, 112, 64)), ("stage2", (56, 56, 128)), ("stage3", (28, 28, 256))]
    sides += [("stage4", (14, 14, 512)), ("stage5", (7, 7, 512))]
    dense = [("fc1", (4096,)), ("embedding", (4096,)), ("logits", (1000,))]
    expected = [("image", (224, 224, 3)), *sides, *dense]
    assert blocks(symbolic_model("vgg16")) == [(name, shape, ()) for name, shape in expected]


def test_the_modules_of_inception_v4_keep_their_letters():
    found = {name: shape[0] for name, shape, _ in blocks(symbolic_model("inception_v4"))}
    assert list(found)[-7:-2] == ["inception_a", "reduction_a", "inception_b", "reduction_b", "inception_c"]
    assert [found[f"inception_{letter}"] for letter in "abc"] == [35, 17, 8]


def test_auxiliary_heads_are_left_out():
    assert blocks(symbolic_model("googlenet_aux")) == blocks(symbolic_model("googlenet"))


def test_a_unets_decoders_join_the_feature_maps_of_its_encoders():
    found = {block.name: block for block in blocks(symbolic_model("unet"))}
    assert {name: block.joins for name, block in found.items() if block.joins} == {
        f"decoder{level}": (f"encoder{level}",) for level in (1, 2, 3, 4)
    }
    assert found["encoder1"].shape == (256, 256, 64)


def test_cropped_feature_maps_are_drawn_as_they_were_made():
    found = {block.name: block.shape for block in blocks(symbolic_model("unet_2015"))}
    # Ronneberger et al., 2015, figure 1
    assert [found[f"encoder{level}"] for level in (1, 2, 3, 4)] == [
        (568, 568, 64), (280, 280, 128), (136, 136, 256), (64, 64, 512)
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["lenet5", "googlenet"])
def test_a_png_is_drawn(name, tmp_path):
    draw_diagram(symbolic_model(name), tmp_path / "new" / "network.png")
    image = cv2.imread(str(tmp_path / "new" / "network.png"))
    assert image.shape[1] > 1000
    assert image.std() > 10


def test_an_svg_names_every_block(tmp_path):
    draw_diagram(symbolic_model("unet"), tmp_path / "network.SVG")
    text = (tmp_path / "network.SVG").read_text()
    assert "<svg" in text
    assert all(f"<!-- {name}" in text for name in ("encoder1", "bottom", "decoder1", "logits"))


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="^cannot write .*; choose another folder$"):
        draw_diagram(symbolic_model("lenet5"), tmp_path / "file" / "network.png")
