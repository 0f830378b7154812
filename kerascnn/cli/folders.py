"""Where an app's runs lie when --out does not say it: runs/<app>/run1, run2, …"""

import contextlib
import re
from pathlib import Path

from kerascnn.classification import recipes as images
from kerascnn.cli.messages import note
from kerascnn.digits import recipes as digits
from kerascnn.errors import InputError, UsageError
from kerascnn.files import check_utf8, check_writable
from kerascnn.tumors import recipes as tumors

SHIPPED = Path(__file__).resolve().parents[2] / "saved_models"  # of a checkout; the wheel has none
RUNS = {runs.app: runs for runs in (digits.RUNS, images.RUNS, tumors.RUNS)}  # what their recipe.json say
MODELS = {"digits": "digits", "tumors": "tumors", "images": "cifar10_fast"}  # of the apps, there


def numbered_runs(app, kind="run"):
    """{number: folder} of the runs of an app, in the order of their numbers."""
    runs = Path("runs", app).glob(f"{kind}*")
    numbers = {int(run.name.removeprefix(kind)): run for run in runs if re.fullmatch(rf"{kind}[1-9]\d*", run.name)}
    return dict(sorted(numbers.items()))


def next_folder(app, kind):
    """The folder runs/<app>/<kind><number> with the next number."""
    return Path("runs", app, f"{kind}{max(numbered_runs(app, kind), default=0) + 1}")


def made_next(app, kind):
    """The folder that next_folder names, made here, so that no other process has it."""
    while True:
        with contextlib.suppress(FileExistsError):
            (folder := next_folder(app, kind)).mkdir(parents=True)
            return folder


def run_to_train(app, out, resume, smoke):
    """The folder to train into: `out`, or the next of the app's runs, or, to resume, the newest of them.

    smoke: its runs are called smoke1, smoke2, …, so that no other command takes one for the newest model. Raises
    InputError where files cannot be written into the folder, UsageError to resume where the newest run is finished.
    """
    folder = out
    if not out:
        kind = "smoke" if smoke else "run"
        runs = numbered_runs(app, kind)
        folder = runs[max(runs)] if runs and resume else next_folder(app, kind)
        if (folder / "recipe.json").is_file():
            words = f"resume is given, and the newest run, {folder}, is finished"
            raise UsageError(f"{words}; leave it out, or name a run with --out", argument="resume")
        note(f"run folder: {folder}")
    check_utf8(folder)  # to which it will be exported
    check_writable(folder)
    if resume and not folder.is_dir():
        note(f"note: {folder} holds no unfinished run to resume; starting one")
    return folder


def run_to_fill(app, out):
    """What trained_run says, a folder that files can be written into. Raises InputError where they cannot."""
    folder = trained_run(app, out)
    check_writable(folder)
    return folder


def shipped(app):
    """The folder of the app's shipped model, or None where there is none."""
    folder = SHIPPED / MODELS[app]
    return folder if folder.is_dir() else None


def trained_run(app, out):
    """The folder of a trained model: `out`, or the newest finished one of the app's runs, or the shipped one.

    Raises InputError where there is none of these.
    """
    if out:
        return out
    finished = [run for run in numbered_runs(app).values() if (run / "recipe.json").is_file()]
    folder = finished[-1] if finished else shipped(app)
    if folder is None:
        raise InputError(
            f"no trained run in runs/{app} and no shipped model in {SHIPPED / MODELS[app]}; train one, "
            f"or take saved_models/{MODELS[app]} of kerascnn's repository and name it with --out"
        )
    note(f"model folder: {folder}")
    return folder
