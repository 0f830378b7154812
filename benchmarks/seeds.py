"""Test error of a recipe of the digits app over several seeds: mean and standard deviation.

    python benchmarks/seeds.py RECIPE [--seeds 3] [flags of `apps.digits train` …]

Seed i is trained into runs/RECIPE-i; a finished run is not trained again, a stopped one is resumed. Every run is then
evaluated on the test split. One JSON line on stdout.
"""

import json
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated

from cyclopts import App, Parameter

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kerascnn.cli.app import run
from kerascnn.cli.messages import result
from kerascnn.files import read_json


def digits(*arguments):
    command = [sys.executable, "-m", "apps.digits", *map(str, arguments)]
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    return ran.stdout if ran.returncode == 0 else sys.exit(ran.returncode)


app = App(help=__doc__, result_action="return_value")


@app.default
def main(
    recipe: str,
    *flags: Annotated[str, Parameter(allow_leading_hyphen=True)],
    seeds: int = 3,
):
    errors, seconds = [], []
    for seed in range(seeds):
        out = ROOT / "runs" / f"{recipe}-{seed}"
        if not (out / "recipe.json").is_file():
            digits("train", "--recipe", recipe, *flags, "--seed", seed, "--out", out, "--resume")
        errors.append(json.loads(digits("evaluate", "--out", out))["error"])
        record = read_json(out / "recipe.json")
        seconds.append(record["training_seconds"])
    standard_deviation = {"error_sd": round(stdev(errors), 6)} if seeds > 1 else {}
    figures = {"error": round(mean(errors), 6), **standard_deviation, "errors": errors, "training_seconds": seconds}
    kept = {name: record[name] for name in ("hardware", "date", "versions")}
    result({"model": record["recipe"]["model"], **figures, **kept})


if __name__ == "__main__":
    run(app)
