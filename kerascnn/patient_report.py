"""One HTML page about the masks of one patient, with its pictures inside."""

import base64
import html
import math
from pathlib import Path

NOTICE = "Research software, not a medical device: not for diagnosis or treatment."

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{name}</title><style>
body {{ font-family: sans-serif; margin: 2em auto; max-width: 70em; color: #222 }}
table {{ border-collapse: collapse }} td, th {{ border: 1px solid #bbb; padding: .2em .7em; text-align: right }}
.notice {{ background: #fff3cd; border: 1px solid #e0c060; padding: .6em 1em }} img {{ max-width: 100% }}
</style></head><body>
<h1>{name}</h1>
<p class="notice">{notice}</p>
<p>{slices} slices, tumor found in {found}; {size}.</p>
<img alt="slices with outlines" src="data:image/png;base64,{picture}">
<table><tr><th>slice</th><th>tumor pixels</th>{unit}<th>highest probability</th></tr>
{rows}
</table>
<p>Model: {model}</p>
</body></html>
"""


def tumor_size(voxels, spacing):
    """The size of a tumor, JSON types: voxels, and millilitres, None where no spacing is known."""
    millilitres = None if spacing is None else voxels * math.prod(spacing) / 1000
    return {"tumor_voxels": voxels, "millilitres": millilitres}


def write_report(path, name, labels, probability, mask, spacing, picture, model):
    """Write the page to an HTML file.

    labels: a text for each slice. probability and mask: (S, H, W, 1). spacing: millimetres along S, H and W, or None.
    picture: a PNG file with all slices. model: a line about what made the masks.
    """
    voxels = mask.sum((1, 2, 3))
    area = None if spacing is None else spacing[1] * spacing[2]
    size = tumor_size(int(voxels.sum()), spacing)
    millilitres = size["millilitres"]
    rows = "\n".join(
        f"<tr><td>{html.escape(label)}</td><td>{count}</td>{'' if area is None else f'<td>{count * area:.0f}</td>'}"
        f"<td>{highest:.2f}</td></tr>"
        for label, count, highest in zip(labels, voxels, probability.max((1, 2, 3)), strict=True)
    )
    Path(path).write_text(
        PAGE.format(
            name=html.escape(name),
            notice=NOTICE,
            slices=len(mask),
            found=int((voxels > 0).sum()),
            size=f"{size['tumor_voxels']:,} voxels" + ("" if millilitres is None else f", {millilitres:.1f} ml"),
            unit="" if area is None else "<th>mm²</th>",
            picture=base64.b64encode(Path(picture).read_bytes()).decode(),
            rows=rows,
            model=html.escape(model),
        ),
        encoding="utf-8",
    )
