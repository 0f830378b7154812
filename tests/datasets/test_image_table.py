"""Photos whose labels stand in a CSV file."""

import cv2
import numpy as np
import pytest

import kerascnn as kc
from kerascnn.datasets.batches import evaluation_batches
from kerascnn.errors import InputError, UsageError


@pytest.fixture
def table(tmp_path):
    """write(rows, head) -> the path of a CSV file beside twenty images of one grey each, 10 × their number."""
    (tmp_path / "shots").mkdir()
    for number in range(20):
        cv2.imwrite(str(tmp_path / "shots" / f"{number}.png"), np.full((8, 8, 3), 10 * number, np.uint8))

    def write(rows, head="file,label,split"):
        path = tmp_path / "labels.csv"
        path.write_text("\n".join([head, *rows]), encoding="utf-8-sig")
        return path

    return write


def labelled(number):
    return f"shots/{number}.png,{'dark' if number < 10 else 'light, or so'!r}".replace("'", '"')


def test_labels_are_those_of_the_table(table):
    path = table([labelled(number) for number in range(20)], "file,label")
    data = kc.datasets.image_table(path, (8, 8), validation=0.1, test=0.2)
    assert data.class_names == ("dark", "light, or so")
    assert [np.bincount(part.labels).tolist() for part in (data.train, data.validation, data.test)] == [
        [7, 7], [1, 1], [2, 2],
    ]  # fmt: skip
    for images, labels, _ in evaluation_batches(data.train):
        np.testing.assert_array_equal(labels, np.mean(images, (1, 2, 3)) * 255 > 95)


def test_formats_that_are_not_read_are_left_out_with_the_way_on(table, tmp_path, caplog):
    (tmp_path / "shots" / "phone.HEIC").write_bytes(b"no matter what")
    phone = "shots/phone.HEIC,dark,"
    data = kc.datasets.image_table(table([f"{labelled(number)}," for number in range(20)] + [phone]), (8, 8))
    assert (sum(data.counts().values()), data.train.unread) == (20, (f"{tmp_path}/shots/phone.HEIC",))
    words = f"1 files of {tmp_path}/labels.csv (.heic) are left out, the first is {tmp_path}/shots/phone.HEIC; convert"
    assert caplog.messages == [f"{words} them to JPEG"]
    caplog.clear()
    data = kc.datasets.image_table(
        table([*(f"{labelled(number)}," for number in range(20)), "shots/phone.HEIC,fox,"]), (8, 8)
    )
    assert (data.class_names, caplog.messages[1:]) == (
        ("dark", "fox", "light, or so"), ["no example of the classes fox for train"],
    )  # fmt: skip
    (tmp_path / "shots" / "other.avif").write_bytes(b"no matter what")
    with pytest.raises(InputError, match=r"^file .* names no PNG, JPEG, WebP or BMP file; convert its images$"):
        kc.datasets.image_table(table([phone, "shots/other.avif,light,"]), (8, 8))


def test_splits_are_those_of_the_table_and_what_it_does_not_say_is_cut(table):
    splits = ["test"] * 4 + ["train"] * 8 + [""] * 4 + ["val"] * 4
    path = table([f"{labelled(number)},{split}" for number, split in enumerate(splits)])
    data = kc.datasets.image_table(path, (8, 8))
    assert data.counts() == {"train": 12, "validation": 4, "test": 4}
    assert set(data.test.names) == {f"shots/{number}.png" for number in range(4)}
    assert kc.datasets.image_table(path, (8, 8), validation=0).counts() == {"train": 16, "validation": 0, "test": 4}
    path = table([f"{labelled(number)},{split}" for number, split in enumerate(splits[:-4])])
    counts = kc.datasets.image_table(path, (8, 8)).counts()
    assert (counts["test"], counts["validation"] >= 1, sum(counts.values())) == (4, True, 16)


def test_a_table_that_does_not_fit_is_an_error_that_says_where(table, tmp_path):
    def words(*rows, head="file,label,split"):
        with pytest.raises((UsageError, InputError)) as caught:
            kc.datasets.image_table(table(rows, head), (8, 8))
        return str(caught.value).replace(str(tmp_path), "")

    one = labelled(0) + ","
    assert words(head="path,label") == (
        "file /labels.csv has no column file, but path, label; head its columns file,label or file,label,split"
    )
    assert words() == "file /labels.csv has no row; name an image and its label in each"
    assert words(one) == "file /labels.csv has one class, dark; name the images of each class"
    assert words(one, "shots/1.png,,") == "file /labels.csv has no file or no label in line 3; give both"
    assert words(one, "", '"shots\n/1.png",,') == "file /labels.csv has no file or no label in line 5; give both"
    assert words(one, one) == "file /labels.csv has shots/0.png in lines 2 and 3; name it once"
    assert words(one, f"./{one}") == "file /labels.csv has ./shots/0.png in lines 2 and 3; name it once"
    expected = "file /labels.csv has the split 'dev' in line 2; write train, validation or test, or nothing"
    assert words(one + "dev") == expected
    expected = "no file /shots/99.png, which line 3 of /labels.csv names; check the path"
    assert words(one, "shots/99.png,light,") == expected
    expected = r"file /labels.csv has the label li\x1bght in line 3, which cannot be printed; write another one"
    assert words(one, "shots/1.png,li\x1bght,") == expected
    # an open quote would take all rows behind it into the label
    expected = "/labels.csv is no CSV file in UTF-8 (unexpected end of data); write it again"
    assert words(one, 'shots/1.png,"light', "shots/2.png,dark") == expected
    with pytest.raises(InputError, match=r"^cannot read .*/none.csv \(No such file or directory\); check the path$"):
        kc.datasets.image_table(tmp_path / "none.csv", (8, 8))
    (tmp_path / "photo.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="^.*/photo.csv is no CSV file in UTF-8 .*; write it again$"):
        kc.datasets.image_table(tmp_path / "photo.csv", (8, 8))
