"""What a network costs before it is trained: sizes, multiply-adds, receptive fields, and memory for training."""

import ast
import dataclasses
import importlib.util
import math
import re
import sys
from pathlib import Path
from typing import Annotated, Literal

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cyclopts import Parameter

from kerascnn import cli
from kerascnn.errors import UsageError
from kerascnn.models import MODELS, check_name

UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
LARGEST_SIDE = 16_384
LARGEST_COUNT = 1_000_000

app = cli.create_app("networks", __doc__)

Json = Annotated[bool, Parameter(name="--json", negative="", help="One JSON object on one line.")]
Input = Annotated[
    str | None, Parameter(name="--input", help="HEIGHTxWIDTHxCHANNELS, as 227x227x3; default: the network's own.")
]
Classes = Annotated[int | None, Parameter(help="Number of classes; default: the network's own.")]


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """How the network would be trained, for the forecast of memory."""

    batch_size: int = 32
    "Images per step."
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    "Type of the activations."
    optimizer: Literal["sgd", "adam", "adamw", "adagrad", "rmsprop"] = "adam"
    "SGD and RMSprop have momentum."


@app.command(name="list")
def list_networks(*, as_json: Json = False):
    """Name, trainable parameters, default input and title of every network, separated by tabs."""
    networks = [described(name) for name in MODELS]
    if as_json:
        cli.result(networks)
        return
    for network in networks:
        sides = "x".join(map(str, network["input"]))
        print(network["network"], f"{network['parameters']:,}", sides, network["title"], sep="\t")


@app.command
def show(
    name: str,
    /,
    *,
    shape: Input = None,
    classes: Classes = None,
    training: Training = Training(),
    memory: Annotated[str | None, Parameter(help="Find the largest batch that fits, as 4GiB or 500MB.")] = None,
    picture: Annotated[Path | None, Parameter(help="Also draw the network, to a .svg or .png file.")] = None,
    as_json: Json = False,
):
    """One row a layer, the totals, and the memory that training takes."""
    check_name(name)
    limit = None if memory is None else parse_memory(memory)
    if picture and picture.suffix.lower() not in (".svg", ".png"):
        raise UsageError(f"--picture {picture} is neither SVG nor PNG; give it a name that ends in .svg or .png")
    model, rows, total = summarised(name, shape, classes, training)
    if limit:
        from kerascnn.memory import largest_batch

        largest = largest_batch(model, training.optimizer, limit)
        total["largest_batch"] = {"memory": limit, "batch_size": largest}
    if picture:
        from kerascnn.network_picture import draw_network

        draw_network(model, picture)
        total["picture"] = str(picture)
    if as_json:
        cli.result({**total, "rows": [dataclasses.asdict(row) for row in rows]})
    else:
        print(f"{name}: {described(name)['title']}\n")
        print_aligned(LAYER_COLUMNS, [layer_cells(row) for row in rows])
        print()
        print_totals(total)


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
        cli.result(found)
    else:
        print_aligned(NETWORK_COLUMNS, [network_cells(total) for total in found])


def described(name):
    """What `list` says of a network, read from its builder's file without running it."""
    spec = importlib.util.find_spec(f"kerascnn.models.{MODELS[name]}")
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    (build,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    line = ast.get_docstring(build).splitlines()[0]
    title, parameters = re.match(r"(.*?),? ([\d,]+) trainable parameters", line).groups()
    return {
        "network": name,
        "parameters": int(parameters.replace(",", "")),
        "input": list(ast.literal_eval(build.args.defaults[0])),
        "title": title,
    }


def summarised(name, shape, classes, training):
    """(the network without values, its LayerRows, its totals with the forecast of memory) for these flags."""
    shape = None if shape is None else parse_shape(shape)
    for flag, value in (("--classes", classes), ("--batch-size", training.batch_size)):
        if value is not None and not 1 <= value <= LARGEST_COUNT:
            raise UsageError(f"{flag} is {value}; give a number from 1 to {LARGEST_COUNT:,}")
    cli.load_tensorflow()
    import keras

    from kerascnn.memory import forecast
    from kerascnn.summary import layer_rows, outline, totals

    keras.config.set_dtype_policy(training.precision)
    model = outline(name, shape, classes)
    rows = layer_rows(model)
    memory = {**dataclasses.asdict(training), **forecast(model, training.batch_size, training.optimizer)}
    return model, rows, {**totals(model, rows), "memory": memory}


def parse_shape(text):
    """(H, W, C) from "227x227x3". Raises UsageError unless these are three numbers of a possible size."""
    sides = re.fullmatch(r"(\d{1,6})x(\d{1,6})x(\d{1,6})", text)
    shape = tuple(map(int, sides.groups())) if sides else (0,)
    if not 1 <= min(shape) <= max(shape) <= LARGEST_SIDE:
        raise UsageError(f"--input {text!r} is no size; give HEIGHTxWIDTHxCHANNELS, each from 1 to {LARGEST_SIDE:,}")
    return shape


def parse_memory(text):
    """Bytes from "4GiB", "500MB" or a number. Raises UsageError unless it is such a size, above 0."""
    parts = re.fullmatch(r"(\d{1,15}(?:\.\d+)?) ?([a-zA-Z]*)", text)
    unit = UNITS.get(parts[2].upper()) if parts else None
    if unit is None or not float(parts[1]) * unit >= 1:
        raise UsageError(f"--memory {text!r} is no size; give one as 4GiB, 500MB or a number of bytes")
    return round(float(parts[1]) * unit)


LAYER_COLUMNS = (
    *("<layer", "<kind", ">output", ">activations", ">parameters", ">multiply-adds"),
    *(">field", ">stride", ">centre", "<size along one side"),
)
NETWORK_COLUMNS = (
    *("<network", ">input", ">parameters", ">multiply-adds", ">activations", ">field", ">dense share", ">memory"),
)


def layer_cells(row):
    counts = (f"{value:,}" for value in (row.activations, row.parameters, row.multiply_adds))
    places = (row.field_size, row.field_stride, row.field_centre)
    return row.layer, row.kind, sides_text(row.shape), *counts, *map(pair_text, places), row.arithmetic


def network_cells(total):
    counts = (f"{total[key]:,}" for key in ("parameters", "multiply_adds", "activations"))
    field = pair_text(total["receptive_field"])
    share = f"{100 * total['dense_share_of_parameters']:.1f} %"
    return total["network"], sides_text(total["input"]), *counts, field, share, size_text(total["memory"]["total"])


def sides_text(shape):
    return " x ".join(map(str, shape))


def pair_text(pair):
    """One number where both are equal; "all" where there is none, since all units see the same pixels."""
    return "x".join("all" if value is None else f"{value:g}" for value in (pair[:1] if pair[0] == pair[1] else pair))


def size_text(size):
    """Bytes in the largest binary unit of which there is at least one."""
    power = min(4, int(math.log2(max(size, 1)) // 10))
    return f"{size / 1024**power:.{0 if power == 0 else 2}f} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"


def print_aligned(columns, rows):
    """A table on stdout; the first character of a column's name says to which side it is aligned."""
    table = [[name[1:] for name in columns], *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        padded = (f"{cell:{name[0]}{width}}" for cell, name, width in zip(cells, columns, widths, strict=True))
        print("  ".join(padded).rstrip())


def print_totals(total):
    """The totals as lines of name and value."""
    shares = (100 * total[f"dense_share_of_{key}"] for key in ("parameters", "multiply_adds"))
    cli.row("parameters", f"{total['parameters']:,} trained, {total['fixed_parameters']:,} fixed")
    cli.row("multiply-adds", f"{total['multiply_adds']:,} an image, in convolutions and dense layers")
    cli.row("activations", f"{total['activations']:,} numbers an image")
    cli.row("largest field", f"{pair_text(total['receptive_field'])} pixels, before layers that look at all positions")
    cli.row("dense layers", "{:.1f} % of the parameters, {:.1f} % of the multiply-adds".format(*shares))
    if first := total["first_convolution"]:
        cli.row(first["layer"], f"{first['shared']:,} parameters")
        cli.row("  not shared", f"{first['not_shared']:,}, each position with a kernel of its own")
        cli.row("  all to all", f"{first['fully_connected']:,}, fully connected to the image")
    memory = total["memory"]
    parts = ", ".join(f"{key} {size_text(value)}" for key, value in memory["parts"].items())
    momentum = " with momentum" if memory["optimizer"] in ("sgd", "rmsprop") else ""
    setting = f"batch {memory['batch_size']}, {memory['precision']}, {memory['optimizer']}{momentum}"
    cli.row("memory", f"about {size_text(memory['total'])} to train ({setting}): {parts}")
    if largest := total.get("largest_batch"):
        found = f"{largest['batch_size']:,}" if largest["batch_size"] else "not even one image"
        cli.row("largest batch", f"{found} in {size_text(largest['memory'])}")
    if "picture" in total:
        cli.row("picture", total["picture"])


if __name__ == "__main__":
    cli.run(app)
