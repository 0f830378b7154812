"""What a network costs before it is trained: sizes, multiply-adds, receptive fields, and memory for training."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Literal

if not __package__:  # run as a file
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cyclopts import Parameter

from kerascnn.analysis.tables import layer_table, network_table, total_rows
from kerascnn.cli import app as cli
from kerascnn.cli.flags import parse_memory, parse_shape, whole
from kerascnn.cli.messages import result, row
from kerascnn.errors import UsageError
from kerascnn.files import check_writable
from kerascnn.model_names import NETWORKS, check_name
from kerascnn.tensorflow_setup import load_tensorflow

LARGEST_COUNT = 1_000_000

app = cli.create_app(__doc__)

Json = Annotated[bool, Parameter(name="--json", negative="", help="One JSON object on one line.")]
Input = Annotated[
    str | None, Parameter(name="--input", help="HEIGHTxWIDTHxCHANNELS, as 227x227x3; default: the network's own.")
]
Classes = Annotated[int | None, Parameter(help="Number of classes; default: the network's own.", converter=whole)]


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """How the network would be trained, for the estimate of memory."""

    batch_size: Annotated[int, Parameter(converter=whole)] = 32
    "Images per step."
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    "Type of the activations."
    optimizer: Literal["sgd", "adam", "adamw", "adagrad", "rmsprop", "muon"] = "adam"
    "SGD, RMSprop and Muon have momentum."


@app.command(name="list")
def list_networks(*, as_json: Json = False):
    """Name, trainable parameters, default input and title of every network, separated by tabs."""
    if as_json:
        keys = "network", "title", "input", "parameters"
        result([dict(zip(keys, (name, *network), strict=True)) for name, network in NETWORKS.items()])
        return
    for name, network in NETWORKS.items():
        print(name, f"{network.parameters:,}", "x".join(map(str, network.input_shape)), network.title, sep="\t")


@app.command
def show(
    name: str,
    /,
    *,
    shape: Input = None,
    classes: Classes = None,
    training: Training = Training(),
    memory: Annotated[str | None, Parameter(help="Find the largest batch that fits, as 4GiB or 500MB.")] = None,
    diagram: Annotated[Path | None, Parameter(help="Also draw the network, to a .svg or .png file.")] = None,
    as_json: Json = False,
):
    """One row a layer, the totals, and the memory that training takes."""
    check_name(name)
    limit = None if memory is None else parse_memory(memory)
    if diagram and diagram.suffix.lower() not in (".svg", ".png"):
        raise UsageError(f"--diagram {diagram} is neither SVG nor PNG; give it a name that ends in .svg or .png")
    if diagram:
        check_writable(diagram.parent)
    model, rows, total = summarised(name, shape, classes, training)
    if limit:
        from kerascnn.analysis.memory import largest_batch

        largest = largest_batch(model, training.optimizer, limit)
        total["largest_batch"] = {"memory": limit, "batch_size": largest}
    if diagram:
        from kerascnn.analysis.diagram import draw_diagram

        draw_diagram(model, diagram)
        total["diagram"] = str(diagram)
    if as_json:
        result({**total, "rows": [dataclasses.asdict(layer) for layer in rows]})
        return

    print(f"{name}: {NETWORKS[name].title}", "", *layer_table(rows), "", sep="\n")
    for key, value in total_rows(total).items():
        row(key, value)


@app.command
def compare(
    names: Annotated[list[str], Parameter(negative="")],
    /,
    *,
    shape: Input = None,
    classes: Classes = None,
    training: Training = Training(),
    as_json: Json = False,
):
    """One row a network: parameters, multiply-adds, activations, receptive field, dense share, memory for a batch."""
    for name in names:
        check_name(name)
    found = [summarised(name, shape, classes, training)[2] for name in names]
    if as_json:
        result(found)
    else:
        print(*network_table(found), sep="\n")


def summarised(name, shape, classes, training):
    """(the symbolic model, its LayerRows, its totals with the estimate of memory) for these flags."""
    shape = None if shape is None else parse_shape(shape)
    for flag, value in (("--classes", classes), ("--batch-size", training.batch_size)):
        if value is not None and not 1 <= value <= LARGEST_COUNT:
            raise UsageError(f"{flag} is {value}; give a number from 1 to {LARGEST_COUNT:,}")
    load_tensorflow()
    import keras

    from kerascnn.analysis.memory import estimate_memory
    from kerascnn.analysis.summary import layer_rows, symbolic_model, totals

    keras.config.set_dtype_policy(training.precision)
    model = symbolic_model(name, shape, classes)
    rows = layer_rows(model)
    memory = {**dataclasses.asdict(training), **estimate_memory(model, training.batch_size, training.optimizer)}
    return model, rows, {**totals(model, rows), "memory": memory}


if __name__ == "__main__":
    cli.run(app)
