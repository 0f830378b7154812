import os
import subprocess
import sys

import pytest

from kerascnn.errors import InputError
from kerascnn.files import read_json, write_aside, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "weights.npz"
    path.write_text("old")

    def fail(aside):
        aside.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_aside(path, fail)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["weights.npz"]


@pytest.mark.parametrize("name", ["a**b.json", "[1].json"])
def test_a_name_is_no_pattern(name, tmp_path):
    left = tmp_path / f".aside-{2**22 + 1}-{name}"  # of a process whose number is more than Linux gives
    left.write_text("half")
    write_aside(tmp_path / name, lambda aside: aside.write_text("{}"))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_temporary_name_keeps_the_suffix(tmp_path):
    seen = []
    write_aside(tmp_path / "model.keras", lambda aside: seen.append(aside.suffix) or aside.write_text("x"))
    assert seen == [".keras"]
    assert (tmp_path / "model.keras").read_text() == "x"


def test_json_that_says_the_same_is_not_written_again(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"accuracy": 0.5})
    before = path.stat().st_ino
    write_json(path, {"accuracy": 0.5})
    assert path.stat().st_ino == before
    write_json(path, {"accuracy": 0.6})
    assert read_json(path) == {"accuracy": 0.6}


def test_damaged_json_is_named(tmp_path):
    (tmp_path / "recipe.json").write_text('{"seed": ')
    with pytest.raises(InputError, match=r"recipe.json is damaged .*; restore it or train again"):
        read_json(tmp_path / "recipe.json")


def test_what_a_killed_process_left_is_taken_away_and_what_another_writes_is_not(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left, other = (tmp_path / f".aside-{process}-model.keras" for process in (gone.pid, os.getppid()))
    left.touch()
    other.touch()
    write_aside(tmp_path / "model.keras", lambda aside: aside.write_text("x"))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([other.name, "model.keras"])
