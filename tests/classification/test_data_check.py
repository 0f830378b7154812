"""Faults are put into a folder of drawn photos, and all of them are found."""

import json
import shutil

import cv2
import numpy as np
import pytest

import kerascnn as kc
from kerascnn.classification import data_check
from kerascnn.classification.data_check import check_images, duplicates, near_pairs, perceptual_hash
from kerascnn.classification.data_report import write_report
from kerascnn.cli.classification import COUNTED
from kerascnn.errors import UsageError

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


def test_copies_in_other_splits_come_first_and_are_counted(tmp_path):
    random = np.random.default_rng(0)
    for folder, names in (("here", "abcd"), ("there", "efgh")):
        for name in names:
            path = tmp_path / folder / "xy"[name in "cdgh"] / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), cv2.resize(random.integers(0, 256, (8, 8, 3), np.uint8), (64, 64)))
    shutil.copy(tmp_path / "here" / "x" / "a.png", tmp_path / "here" / "x" / "copy.png")
    shutil.copy(tmp_path / "there" / "y" / "g.png", tmp_path / "here" / "y" / "leaked.png")
    found = check_images(kc.datasets.image_folder(tmp_path / "here", (32, 32), validation=0, test=tmp_path / "there"))
    assert [group["splits"] for group in found["duplicates"]] == [["train", "test"], ["train", "train"]]
    assert {file.split("/")[-1] for file in found["duplicates"][0]["files"]} == {"g.png", "leaked.png"}
    summary = found["summary"]
    assert (summary["files"], summary["separate"], summary["unique"]) == (10, 1 - 2 / 10, 1 - 2 / 10)
    write_report(found, "photos", tmp_path)
    assert (tmp_path / "check.html").read_text().count("<b>in several splits</b>") == 1


def test_a_chain_of_files_alike_is_one_group_in_any_number_of_blocks(tmp_path, monkeypatch):
    hashes, files = np.ones((13, 64), np.float32), []
    for place in range(13):
        hashes[place, : 5 * place] = -1  # neighbours differ in 5 bits, the ends in 60
        files.append(tmp_path / str(place))
        files[-1].write_text(str(place))
    for distances in (1, 2**24):
        monkeypatch.setattr(data_check, "DISTANCES", distances)
        found = duplicates(files, hashes, np.ones(13, bool))
        assert found == [{"kind": "near", "files": list(range(13))}]
        assert duplicates(files, hashes, np.arange(13) != 6) == [
            {"kind": "near", "files": list(range(6))}, {"kind": "near", "files": list(range(7, 13))},
        ]  # fmt: skip


def test_the_summary_counts_what_is_found(findings):
    summary = findings["summary"]
    assert (*summary, "trusted") == COUNTED
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
    hashes, telling = perceptual_hash(np.concatenate([images, changed]))
    assert telling.all()
    expected = {(place, place + 60) for place in range(60)}
    for distances in (7 * 120, 2**24):
        monkeypatch.setattr(data_check, "DISTANCES", distances)
        pairs = np.concatenate(list(near_pairs(hashes)), 1)
        assert set(zip(*pairs.tolist(), strict=True)) == expected


def test_bars_are_not_alike_because_they_are_bars(tmp_path):
    flags = {"france": (200, 120, 0), "italy": (90, 255, 90), "ireland": (0, 255, 0), "belgium": (0, 128, 255)}
    for name, bars in flags.items():
        image = np.repeat(np.array(bars, np.uint8), 30)[None].repeat(60, 0)
        folder = tmp_path / ("lying" if name in ("france", "italy") else "standing")
        folder.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / f"{name}.png"), image if folder.name == "standing" else image.T)
    findings = check_images(kc.datasets.image_folder(tmp_path, (32, 32), validation=0, test=0))
    assert (findings["duplicates"], findings["odd"]) == ([], [])


def test_images_that_are_no_files_cannot_be_looked_at():
    with pytest.raises(
        UsageError, match="^data is synthetic, whose images are no files of their own; give what image_fol"
    ):
        check_images(kc.datasets.load("synthetic"))
