"""Faults are put into a folder of drawn photos, and all of them are found."""

import json

import cv2
import numpy as np
import pytest

import kerascnn as kc
from kerascnn.classification import data_check
from kerascnn.classification.data_check import check_images, near_pairs, perceptual_hash
from kerascnn.classification.data_report import write_report

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def findings(photos):
    return check_images(kc.datasets.image_folder(photos, (32, 32)))


def test_what_is_broken_and_what_is_odd_is_named(findings, photos):
    assert findings["broken"] == [str(photos / "cat" / "broken.png")]
    assert findings["unread"] == [str(photos / "dog" / "moving.gif")]
    assert {each["file"].split("/")[-1]: each["why"] for each in findings["odd"]} == {
        "pixel.png": "1x1: small",
        "line.png": "2000x10: small",
        "long.png": "400x40: long",
        "blank.png": "all of one intensity",
    }


def test_copies_are_found_with_their_classes_and_splits(findings, photos):
    other, near = findings["duplicates"]
    assert (other["kind"], near["kind"]) == ("exact", "near")
    assert {file.removeprefix(f"{photos}/") for file in other["files"]} == {"cat/0.png", "dog/copy.png"}
    assert sorted(other["classes"]) == ["cat", "dog"]
    assert {file.removeprefix(f"{photos}/") for file in near["files"]} == {"dog/3.png", "dog/smaller.jpg"}
    assert len(other["splits"]) == len(near["splits"]) == 2


def test_the_summary_counts_what_is_found(findings):
    summary = findings["summary"]
    assert (summary["files"], summary["classes"], summary["smallest_class"]) == (32, 2, 15)
    assert summary["readable"] == pytest.approx(31 / 33)  # of the GIF, too
    assert summary["regular"] == pytest.approx(28 / 32)
    assert summary["unique"] == summary["consistent"] == pytest.approx(30 / 32)
    assert sum(count for of_class in findings["counts"].values() for count in of_class.values()) == 32


def test_the_report_is_one_page_with_every_finding(findings, tmp_path):
    write_report(findings, "cats & dogs", tmp_path)
    assert json.loads((tmp_path / "check.json").read_text()) == findings
    page = (tmp_path / "check.html").read_text()
    assert "<h1>cats &amp; dogs: 32 photos</h1>" in page
    assert page.count('src="data:image/jpeg;base64,') == 8
    assert "<b>in several classes</b>" in page
    assert all(file in page for file in findings["broken"])
    assert "http" not in page


def test_what_is_said_of_a_file_stands_without_its_picture_and_no_share_is_rounded_up(findings, tmp_path):
    odd = [{"file": "far/away.png", "why": "400x40: long"}]
    summary = findings["summary"] | {"readable": 0.99998}
    write_report(findings | {"odd": odd, "summary": summary}, "photos", tmp_path)
    page = (tmp_path / "check.html").read_text()
    assert "<figcaption>far/away.png<br>400x40: long</figcaption>" in page
    assert "<td>readable</td><td>99.99%</td>" in page


def test_a_change_of_contrast_leaves_a_hash_and_other_images_have_others(monkeypatch):
    random = np.random.default_rng(0)
    images = np.array([cv2.resize(random.random((12, 12), np.float32), (64, 64)) for _ in range(60)])
    changed = 0.8 * images + np.float32(0.1)
    hashes = perceptual_hash(np.concatenate([images, changed]))
    expected = {(place, place + 60) for place in range(60)}
    for distances in (7 * 120, 2**24):
        monkeypatch.setattr(data_check, "DISTANCES", distances)
        assert set(zip(*near_pairs(hashes).tolist(), strict=True)) == expected
