"""The networks app; where what a user sees or what is loaded counts, a process as a user starts it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from apps.networks import app  # noqa: F401, run by the fixture `command`
from tests.catalogue import CATALOGUE

ROOT = Path(__file__).parents[2]


def networks(*arguments, options=()):
    """The finished process of `python -m apps.networks` with these arguments."""
    command = [sys.executable, *options, "-m", "apps.networks", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_list_knows_every_network_without_keras():
    ran = networks("list", "--json", options=["-X", "importtime"])
    found = {row["network"]: (tuple(row["input"]), row["parameters"]) for row in json.loads(ran.stdout)}
    assert found == {row.name: (row.input_shape, row.parameters) for row in CATALOGUE}
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in ran.stderr.splitlines()}
    assert not loaded & {"tensorflow", "keras", "numpy"}
    lines = networks("list").stdout.splitlines()
    assert lines[3].split("\t") == ["lenet5", "61,706", "28x28x1", "LeNet-5 as it is taught today"]


def test_show_prints_a_table_and_the_totals_and_draws(command, tmp_path):
    code, out, words = command("show", "alexnet", "--memory", "4GiB", "--diagram", tmp_path / "alexnet.svg")
    assert (code, words) == (0, "")
    title, table, sums = out.split("\n\n")
    assert title == "alexnet: AlexNet in two towers"
    (row,) = [line.split() for line in table.splitlines() if line.startswith("pool5 ")]
    assert row[:7] == ["pool5", "MaxPooling2D", "6", "x", "6", "x", "256"]
    assert row[7:13] == ["9,216", "0", "0", "195", "32", "33"]
    assert " ".join(row[13:]) == "(13 + 2*0 - 3)/2 + 1 = 6"
    found = dict(line.split("\t", 1) for line in sums.splitlines())
    assert found["parameters    "] == "60,965,224 trainable, 0 non-trainable"
    assert "105,705,600" in found["  not shared  "]
    assert found["largest batch "].endswith(" in 4.00 GiB")
    assert (tmp_path / "alexnet.svg").is_file()


def test_show_as_json_follows_every_flag(command):
    flags = ["--input", "64x96x1", "--classes", 7, "--batch-size", 5, "--precision", "mixed_bfloat16"]
    code, out, words = command("show", "resnet18", *flags, "--optimizer", "sgd", "--memory", "500MB", "--json")
    assert code == 0, words
    found = json.loads(out)
    assert found["input"] == [64, 96, 1]
    assert found["rows"][-1]["shape"] == [7]
    assert found["largest_batch"]["memory"] == 500_000_000
    memory = found["memory"]
    assert (memory["batch_size"], memory["precision"], memory["optimizer"]) == (5, "mixed_bfloat16", "sgd")
    assert memory["total"] == sum(memory["parts"].values())


def test_compare_has_a_row_a_network(command):
    code, out, words = command("compare", "lenet5", "mlp", "resnet20")
    assert code == 0, words
    head, *rows = (line.split() for line in out.splitlines())
    assert head[:3] == ["network", "input", "parameters"]
    assert " ".join(head[-5:]) == "memory (batch 32, float32, adam)"
    assert [(row[0], row[6]) for row in rows] == [("lenet5", "61,706"), ("mlp", "238,510"), ("resnet20", "269,722")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "lenet"], "error: name is 'lenet', which is no network; choose one of"),
        (["compare", "lenet5", "nothing_like_it"], "error: name is 'nothing_like_it', which is no network"),
        (["show", "lenet5", "--input", "28x28"], "error: --input '28x28' is no size; give HEIGHTxWIDTHxCHANNELS"),
        (["show", "lenet5", "--memory", "much"], "error: --memory 'much' is no size; give one as 4GiB"),
        (["show", "lenet5", "--diagram", "lenet5.jpg"], "error: --diagram lenet5.jpg is neither SVG nor PNG"),
        (["show", "lenet5", "--batch-size", "0"], "error: --batch-size is 0; give a number from 1 to"),
        (["show", "lenet5", "--input", "5x5x1"], "error: input_shape is (5, 5, 1), which does not fit lenet5; use"),
        (["show", "lenet5", "--optimizer", "best"], "--optimizer"),
        (["show"], "NAME"),
    ],
)
def test_bad_usage_is_one_line_with_the_way_on(arguments, words, command):
    code, out, said = command(*arguments)
    assert (code, out) == (2, "")
    assert words in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--help"], ["show", "--help"]])
def test_help_loads_no_tensorflow(arguments):
    ran = networks(*arguments, options=["-X", "importtime"])
    assert ran.returncode == 0
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in ran.stderr.splitlines()}
    assert not loaded & {"tensorflow", "keras", "numpy", "matplotlib"}
