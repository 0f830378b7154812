import errno
import io
import os
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pytest

from kerascnn.errors import InputError, UsageError
from kerascnn.files import check_archive, check_writable, one_writer, read_json, write_aside, write_json, writing_to

ROOT = Path(__file__).parents[1]


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


@pytest.mark.parametrize("text", [b'{"seed": ', b"[" * 100_000, b"[" * 200 + b"]" * 200, b"\xff{}", b""])
def test_damaged_json_is_named(text, tmp_path):
    (tmp_path / "recipe.json").write_bytes(text)
    with pytest.raises(InputError, match=r"recipe.json is damaged .*; restore it or train again"):
        read_json(tmp_path / "recipe.json")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError(errno.EACCES, "Permission denied", "/place"), "Permission denied"),
        (OSError(errno.EISDIR, "Is a directory", "/place/1.png"), "Is a directory: /place/1.png"),
        (OSError("unable to write"), "unable to write"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_named_with_the_reason(error, reason):
    with pytest.raises(InputError) as caught, writing_to("/place"):
        raise error
    assert str(caught.value) == f"cannot write to /place ({reason}); choose another folder"


def test_a_place_is_tried_without_a_trace(tmp_path):
    check_writable(tmp_path)
    check_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    for place, reason in ((tmp_path / "file", "Not a directory"), (tmp_path / ("a" * 300) / "b", "File name too long")):
        with pytest.raises(InputError) as caught:
            check_writable(place)
        assert str(caught.value) == f"cannot write to {place} ({reason}); choose another folder"
    with pytest.raises(InputError, match=r"^cannot write to /proc/kerascnn \(.*\); choose another folder$"):
        check_writable("/proc/kerascnn")


def test_a_full_disk_is_found_before_the_work(disk_of):
    folder = disk_of("64k")
    (folder / "other").write_bytes(bytes(2**16))
    with pytest.raises(InputError, match=rf"^cannot write to {folder}/run \(No space left on device\); choose another"):
        check_writable(folder / "run")


def archive(*entries):
    with zipfile.ZipFile(file := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in entries:
            opened.writestr(name, data)
    return file


def test_an_archive_names_each_entry_once_and_none_grows_too_large():
    check_archive(archive(("a", b"1"), ("b", b"2")))
    with warnings.catch_warnings(action="ignore"):
        twice = archive(("a", b"1"), ("a", b"2"))
    with pytest.raises(ValueError, match="^a is in it twice$"):
        check_archive(twice)
    with pytest.raises(ValueError, match="^nothing is in it$"):
        check_archive(archive())
    with pytest.raises(ValueError, match="^zeros grows from [0-9,]* to 4,194,304 bytes$"):
        check_archive(archive(("zeros", bytes(2**22))))
    check_archive(archive(("zeros", bytes(2**22))), most_compression=1100)


def test_what_a_killed_process_left_is_taken_away_and_what_another_writes_is_not(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left, other = (tmp_path / f".aside-{process}-model.keras" for process in (gone.pid, os.getppid()))
    left.touch()
    other.touch()
    write_aside(tmp_path / "model.keras", lambda aside: aside.write_text("x"))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([other.name, "model.keras"])


def test_a_folder_is_kept_to_one_process_until_that_ends(tmp_path):
    holds = "from kerascnn.files import *; import sys\nwith one_writer(sys.argv[1]): print('held', flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", holds, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert other.stdout.readline() == "held\n"
    expected = f"^folder {tmp_path} is where another process is training; choose another folder$"
    with pytest.raises(UsageError, match=expected), one_writer(tmp_path):
        pass
    other.kill()
    other.communicate()
    with one_writer(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_every_module_is_imported_where_there_is_no_unix():
    names = [
        str(path.relative_to(ROOT).with_suffix("")).replace(os.sep, ".").removesuffix(".__init__")
        for package in ("kerascnn", "apps")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name != "__main__.py"
    ]
    command = [sys.executable, "-m", "tests.without_unix_modules", *names]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})


def test_the_peak_of_memory_is_unknown_where_the_system_does_not_tell(monkeypatch):
    from kerascnn.provenance import peak_memory

    assert 100 < peak_memory()["peak_memory_mib"] < 100_000
    monkeypatch.setitem(sys.modules, "resource", None)
    assert peak_memory() == {"peak_memory_mib": None}


def test_a_damaged_file_is_replaced_by_new_figures(tmp_path):
    (tmp_path / "metrics.json").write_bytes(b"\xff\xfe")
    write_json(tmp_path / "metrics.json", {"accuracy": 1})
    assert read_json(tmp_path / "metrics.json") == {"accuracy": 1}
