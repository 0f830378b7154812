"""Where an app trains, and which model it takes, without --out."""

from pathlib import Path

import pytest

from kerascnn.cli import folders
from kerascnn.cli.folders import run_to_train, trained_run
from kerascnn.errors import InputError, UsageError

SHIPPED = Path(__file__).parents[2] / "saved_models"


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    """The folder `runs/digits` of an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return Path("runs", "digits")


def finished(folder):
    folder.mkdir(parents=True)
    (folder / "recipe.json").write_text("{}")
    return folder


def test_a_folder_that_tensorflow_cannot_write_to_is_told_before_a_training(tmp_path):
    with pytest.raises(InputError, match=r"^cannot write to /.*/caf\\udce9 \(no UTF-8\); choose another folder$"):
        run_to_train("digits", tmp_path / "caf\udce9", False, smoke=False)


def test_a_folder_that_is_named_is_taken_without_a_word(tmp_path, capsys):
    assert (
        run_to_train("digits", tmp_path, False, smoke=False)
        == run_to_train("digits", tmp_path, True, smoke=False)
        == tmp_path
    )
    assert trained_run("digits", tmp_path) == tmp_path
    assert capsys.readouterr().err == ""


def test_every_training_gets_the_next_folder_and_says_so(runs, capsys):
    for number in (1, 2):
        assert run_to_train("digits", None, False, smoke=False) == runs / f"run{number}"
        assert capsys.readouterr().err == f"run folder: {runs}/run{number}\n"
        finished(runs / f"run{number}")
    finished(runs / "run10")
    finished(runs / "run99_of_mine")
    assert run_to_train("digits", None, False, smoke=False) == runs / "run11"
    assert run_to_train("tumors", None, False, smoke=False) == Path("runs/tumors/run1")


def test_a_smoke_test_is_never_taken_for_a_model(runs):
    assert run_to_train("digits", None, False, smoke=True) == runs / "smoke1"
    finished(runs / "smoke1")
    assert run_to_train("digits", None, False, smoke=True) == runs / "smoke2"
    assert run_to_train("digits", None, False, smoke=False) == runs / "run1"
    assert trained_run("digits", None) == SHIPPED / "digits"


def test_the_newest_run_is_resumed(runs):
    assert run_to_train("digits", None, True, smoke=False) == runs / "run1"
    finished(runs / "run1")
    with pytest.raises(
        UsageError, match=f"^resume is given, and the newest run, {runs}/run1, is finished; leave it out, or name a run"
    ):
        run_to_train("digits", None, True, smoke=False)
    (runs / "run2").mkdir()
    assert run_to_train("digits", None, True, smoke=False) == runs / "run2"


def test_resuming_what_is_not_there_says_so(runs, capsys):
    assert run_to_train("digits", runs / "own", True, smoke=False) == runs / "own"
    assert capsys.readouterr().err == f"note: {runs / 'own'} holds no unfinished run to resume; starting one\n"


def test_the_newest_finished_run_is_taken_else_the_shipped_model(runs, capsys):
    assert trained_run("digits", None) == SHIPPED / "digits"
    assert capsys.readouterr().err == f"model folder: {SHIPPED / 'digits'}\n"
    for name in ("run2", "run10"):
        finished(runs / name)
    (runs / "run11").mkdir()
    assert trained_run("digits", None) == runs / "run10"
    assert capsys.readouterr().err == f"model folder: {runs}/run10\n"
    assert trained_run("tumors", None) == SHIPPED / "tumors"


def test_where_no_model_is_shipped_the_error_says_where_to_get_it(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "SHIPPED", tmp_path / "saved_models")  # as of an installed wheel
    with pytest.raises(InputError) as error:
        trained_run("digits", None)
    assert str(error.value) == (
        f"no trained run in runs/digits and no shipped model in {tmp_path}/saved_models/digits; train one, "
        "or take saved_models/digits of kerascnn's repository and name it with --out"
    )
    finished(runs / "run1")
    assert trained_run("digits", None) == runs / "run1"
