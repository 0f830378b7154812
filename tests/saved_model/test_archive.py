"""A version appears whole under the next number, or nothing is left."""

import concurrent.futures
import logging
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf

from kerascnn.errors import InputError
from kerascnn.saved_model.archive import published, save, work_folder, write_version
from kerascnn.saved_model.verification import verify_answers


def write(folder, verify=lambda version, work: {}):
    """A version with one signature."""
    endpoints = {"double": (lambda x: {"twice": 2 * x}, tf.TensorSpec([None], tf.float32, name="x"))}
    return write_version(endpoints, {"double": np.ones(1, np.float32)}, verify, folder, {})


def test_versions_count_up_and_none_is_touched_again(tmp_path):
    (tmp_path / "model.keras").touch()
    (tmp_path / "7").mkdir()
    first = write(tmp_path)
    before = (first / "saved_model.pb").read_bytes()
    assert write(tmp_path) == tmp_path / "9"
    assert first == tmp_path / "8"
    assert (first / "saved_model.pb").read_bytes() == before
    assert sorted(child.name for child in tmp_path.iterdir()) == ["7", "8", "9", "model.keras"]


def test_an_export_says_nothing_of_its_work_folder_where_tensorflow_logs_info(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="tensorflow")  # as TensorFlow does itself in a notebook
    write(tmp_path)
    assert not caplog.records
    assert tf.get_logger().level == logging.INFO


def test_concurrent_exports_take_different_numbers(tmp_path):
    waiting = threading.Barrier(8)

    def publish(number):
        work = tmp_path / f".export-{number}"
        work.mkdir()
        (work / "saved_model.pb").write_text(str(number))
        waiting.wait()
        return published(work, tmp_path)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        places = list(pool.map(publish, range(8)))
    assert sorted(place.name for place in places) == list("12345678")
    assert [(place / "saved_model.pb").read_text() for place in places] == list("01234567")


@pytest.mark.parametrize("before", [[], ["model.keras"]])
def test_an_export_that_is_not_verified_leaves_nothing(tmp_path, before):
    for name in before:
        (tmp_path / name).touch()

    def verify(version, work):
        raise RuntimeError("differs")

    with pytest.raises(RuntimeError, match="differs"):
        write(tmp_path / "new" if not before else tmp_path, verify)
    assert [child.name for child in tmp_path.iterdir()] == before


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"^cannot write to .*file.digits \(Not a directory\); choose another folder$"):
        write(tmp_path / "file" / "digits")


def test_what_a_killed_export_left_is_taken_away_and_what_another_writes_is_not(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left, other = (tmp_path / f".export-{process}-abc" for process in (gone.pid, os.getppid()))
    for folder in (left, other):
        (folder / "saved_model").mkdir(parents=True)
    write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([other.name, "1"])


@pytest.fixture
def small_disk(disk_of):
    return disk_of("64k")


@pytest.mark.parametrize("room", [0, 30_000])
def test_a_full_disk_is_one_line_and_leaves_nothing(room, small_disk):
    (small_disk / "model.keras").write_bytes(bytes(60_000 - room))
    variable = tf.Variable(tf.ones(10_000))
    endpoints = {"double": (lambda x: {"twice": x * variable}, tf.TensorSpec([None], tf.float32, name="x"))}
    with pytest.raises(InputError, match=rf"^cannot write to {small_disk} \(No space left on device"):
        write_version(endpoints, {"double": np.ones(1, np.float32)}, lambda version, work: {}, small_disk, {})
    assert [path.name for path in small_disk.iterdir()] == ["model.keras"]


def test_a_disk_that_is_full_for_the_program_that_verifies_is_one_line(small_disk):
    def verify(version, work):
        (work / "filling").write_bytes(bytes(2**16 - sum(p.stat().st_blocks * 512 for p in small_disk.rglob("*"))))
        inputs = {"double": np.ones(1, np.float32)}
        return verify_answers(version, work, inputs, {"double": "twice"}, inputs)

    with pytest.raises(InputError, match=rf"^cannot write to {small_disk} \(No space left on device"):
        write(small_disk, verify)
    assert list(small_disk.iterdir()) == []


def test_variables_are_the_same_file_each_time(tmp_path):
    variables = [tf.Variable(np.full(9, number, np.float32), name=f"layer{number}/kernel") for number in range(20)]
    spec = tf.TensorSpec([None], tf.float32, name="x")
    for name in "ab":
        save({"serving_default": (lambda x: {"y": x + tf.add_n(variables)[0]}, spec)}, tmp_path / name)
    written = [(tmp_path / name / "variables" / "variables.data-00000-of-00001").read_bytes() for name in "ab"]
    assert written[0] == written[1]


def test_a_folder_that_tensorflow_cannot_write_to_is_told(tmp_path):
    with (
        pytest.raises(InputError, match=r"udce9 \(no UTF-8\); choose another folder$"),
        work_folder(tmp_path / "caf\udce9"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
