"""What networks cost, as lines of text."""

import math


def layer_table(rows):
    """A table of LayerRows."""
    columns = ["<layer", "<kind", ">output", ">activations", ">parameters", ">multiply-adds"]
    columns += [">field", ">stride", ">centre", "<size along one side"]
    cells = []
    for row in rows:
        counts = (f"{value:,}" for value in (row.activations, row.parameters, row.multiply_adds))
        places = map(pair_text, (row.field_size, row.field_stride, row.field_centre))
        cells.append((row.layer, row.kind, sides_text(row.shape), *counts, *places, row.arithmetic))
    return aligned(columns, cells)


def network_table(totals):
    """A table of the totals of several networks, with a row for each."""
    columns = ["<network", ">input", ">parameters", ">multiply-adds", ">activations", ">field", ">dense share"]
    columns.append(f">memory ({setting(totals[0]['memory'])})")
    cells = []
    for total in totals:
        counts = (f"{total[key]:,}" for key in ("parameters", "multiply_adds", "activations"))
        field, share = pair_text(total["receptive_field"]), f"{100 * total['dense_share_of_parameters']:.1f} %"
        memory = size_text(total["memory"]["total"])
        cells.append((total["network"], sides_text(total["input"]), *counts, field, share, memory))
    return aligned(columns, cells)


def aligned(columns, rows):
    """The lines of a table; the first character of a column's name says to which side it is aligned."""
    table = [[name[1:] for name in columns], *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    padded = (
        [f"{cell:{name[0]}{width}}" for cell, name, width in zip(cells, columns, widths, strict=True)]
        for cells in table
    )
    return ["  ".join(cells).rstrip() for cells in padded]


def total_rows(total):
    """{name: value} of the totals of one network, in words."""
    shares = (100 * total[f"dense_share_of_{key}"] for key in ("parameters", "multiply_adds"))
    memory = total["memory"]
    parts = ", ".join(f"{key} {size_text(value)}" for key, value in memory["parts"].items())
    rows = {
        "parameters": f"{total['parameters']:,} trainable, {total['non_trainable_parameters']:,} non-trainable",
        "multiply-adds": f"{total['multiply_adds']:,} an image, in convolutions and dense layers",
        "activations": f"{total['activations']:,} numbers an image",
        "largest field": f"{pair_text(total['receptive_field'])} pixels, before layers that look at all positions",
        "dense layers": "{:.1f} % of the parameters, {:.1f} % of the multiply-adds".format(*shares),
    }
    if first := total["first_convolution"]:
        rows[first["layer"]] = f"{first['shared']:,} parameters"
        rows["  not shared"] = f"{first['not_shared']:,}, each position with a kernel of its own"
        rows["  all to all"] = f"{first['fully_connected']:,}, fully connected to the image"
    rows["memory"] = f"about {size_text(memory['total'])} to train ({setting(memory)}): {parts}"
    if largest := total.get("largest_batch"):
        found = f"{largest['batch_size']:,}" if largest["batch_size"] else "not even one image"
        rows["largest batch"] = f"{found} in {size_text(largest['memory'])}"
    if "diagram" in total:
        rows["diagram"] = total["diagram"]
    return rows


def setting(memory):
    """What an estimate of memory is for, in words."""
    momentum = " with momentum" if memory["optimizer"] in ("sgd", "rmsprop", "muon") else ""
    return f"batch {memory['batch_size']}, {memory['precision']}, {memory['optimizer']}{momentum}"


def sides_text(shape):
    return " x ".join(map(str, shape))


def pair_text(pair):
    """One number where both are equal; "all" where there is none, since all units see the same pixels."""
    return "x".join("all" if value is None else f"{value:g}" for value in (pair[:1] if pair[0] == pair[1] else pair))


def size_text(size):
    """Bytes in the largest binary unit of which there is at least one."""
    power = min(4, int(math.log2(max(size, 1)) // 10))
    return f"{size / 1024**power:.{0 if power == 0 else 2}f} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
