"""The tables that tell what networks cost, on stdout."""

import inspect

from kerascnn.analysis.sizes import pair_text, sides_text, size_text
from kerascnn.cli import app as cli
from kerascnn.model_names import PARAMETERS

LAYER_COLUMNS = (
    *("<layer", "<kind", ">output", ">activations", ">parameters", ">multiply-adds"),
    *(">field", ">stride", ">centre", "<size along one side"),
)
NETWORK_COLUMNS = ("<network", ">input", ">parameters", ">multiply-adds", ">activations", ">field", ">dense share")


def described(name):
    """What `list` says of a network."""
    from kerascnn.models import MODELS

    build, parameters = MODELS[name], PARAMETERS[name]
    (line, *_) = build.__doc__.splitlines()
    return {
        "network": name,
        "parameters": parameters,
        "input": list(inspect.signature(build).parameters["input_shape"].default),
        "title": line.partition(f"{parameters:,} trainable")[0].rstrip(", "),
    }


def print_layers(name, rows, total):
    """The title of a network, its LayerRows and its totals."""
    print(f"{name}: {described(name)['title']}\n")
    print_aligned(LAYER_COLUMNS, [layer_cells(row) for row in rows])
    print()
    print_totals(total)


def print_networks(found):
    """A row for each network, of its totals."""
    memory = f">memory ({setting(found[0]['memory'])})"
    print_aligned((*NETWORK_COLUMNS, memory), [network_cells(total) for total in found])


def layer_cells(row):
    counts = (f"{value:,}" for value in (row.activations, row.parameters, row.multiply_adds))
    places = (row.field_size, row.field_stride, row.field_centre)
    return row.layer, row.kind, sides_text(row.shape), *counts, *map(pair_text, places), row.arithmetic


def network_cells(total):
    counts = (f"{total[key]:,}" for key in ("parameters", "multiply_adds", "activations"))
    field = pair_text(total["receptive_field"])
    share = f"{100 * total['dense_share_of_parameters']:.1f} %"
    return total["network"], sides_text(total["input"]), *counts, field, share, size_text(total["memory"]["total"])


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
    cli.row("memory", f"about {size_text(memory['total'])} to train ({setting(memory)}): {parts}")
    if largest := total.get("largest_batch"):
        found = f"{largest['batch_size']:,}" if largest["batch_size"] else "not even one image"
        cli.row("largest batch", f"{found} in {size_text(largest['memory'])}")
    if "picture" in total:
        cli.row("picture", total["picture"])


def setting(memory):
    """What a forecast of memory is for, in words."""
    momentum = " with momentum" if memory["optimizer"] in ("sgd", "rmsprop") else ""
    return f"batch {memory['batch_size']}, {memory['precision']}, {memory['optimizer']}{momentum}"
