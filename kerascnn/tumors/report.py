"""One HTML page about the masks of one patient, with its images inside."""

import base64
import html
import math
from pathlib import Path

from kerascnn.errors import printable
from kerascnn.tumors.scans import scan_name

NOTICE = "Research software, not a medical device: not for diagnosis or treatment."

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{name}</title><style>
body {{ font-family: sans-serif; margin: 2em auto; max-width: 70em; color: #222 }}
table {{ border-collapse: collapse }} td, th {{ border: 1px solid #bbb; padding: .2em .7em; text-align: right }}
.notice {{ background: #fff3cd; border: 1px solid #e0c060; padding: .6em 1em }} img {{ max-width: 100% }}
</style></head><body>
<h1>{name}</h1>
<p class="notice">{notice}</p>
<p>{source}</p>
<p>{slices}, tumor found in {found}; {size}. {view}</p>
<img alt="slices with contours" src="data:image/png;base64,{overlay}">
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


def write_report(path, scan, probabilities, mask, overlay, model):
    """Write the page to an HTML file.

    scan: the Scan that was segmented. probabilities and mask: (S, H, W, 1). overlay: a PNG file with all slices. model:
    a line about what made the masks.
    """
    voxels = mask.sum((1, 2, 3))
    area = None if scan.spacing is None else scan.spacing[1] * scan.spacing[2]
    size = tumor_size(int(voxels.sum()), scan.spacing)
    millilitres = size["millilitres"]
    labels = map(shown, scan.labels())
    rows = "\n".join(
        f"<tr><td>{label}</td><td>{count}</td>{'' if area is None else f'<td>{count * area:.0f}</td>'}"
        f"<td>{highest:.2f}</td></tr>"
        for label, count, highest in zip(labels, voxels, probabilities.max((1, 2, 3)), strict=True)
    )
    Path(path).write_text(
        PAGE.format(
            name=shown(scan_name(scan.path)),
            notice=NOTICE,
            source=shown(str(scan.path)),
            slices="1 slice" if len(mask) == 1 else f"{len(mask)} slices",
            view="" if scan.nifti is None else "The patient's left is on the left.",
            found=int((voxels > 0).sum()),
            size=f"{size['tumor_voxels']:,} voxels" + ("" if millilitres is None else f", {millilitres:.1f} ml"),
            unit="" if area is None else "<th>mm²</th>",
            overlay=base64.b64encode(Path(overlay).read_bytes()).decode(),
            rows=rows,
            model=shown(model),
        ),
        encoding="utf-8",
    )


def shown(text):
    """Text from elsewhere for a page."""
    return html.escape(printable(text))
