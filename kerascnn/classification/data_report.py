"""check.html: what check_images has found as a page with images."""

import base64
import html
import itertools
import math
from pathlib import Path

import cv2

from kerascnn.errors import InputError, printable
from kerascnn.files import write_aside, write_json
from kerascnn.images import load_image

MOST, MOST_OF_GROUP = 200, 20  # findings of a kind, and files of a group of duplicates, that are shown
SIDE = 160  # pixels of a thumbnail
STYLE = """body{font:15px sans-serif;margin:2em auto;max-width:72em;padding:0 1em;color:#222}
table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left}
.group{display:flex;flex-wrap:wrap;gap:1em;border-top:1px solid #ddd;padding:.6em 0}
figure{margin:0;width:160px}figcaption{font-size:12px;overflow-wrap:anywhere}b{color:#b30000}"""


def write_report(findings, name, folder):
    """Write check.json and check.html, one file with its images inside, into `folder`.

    findings: as check_images gives them; name: of the data.
    """
    write_json(folder / "check.json", findings)
    title = f"{html.escape(printable(name))}: {findings['summary']['files']:,} photos"
    parts = [
        f"<h1>{title}</h1>",
        summary_table(findings["summary"]),
        counts_table(findings["counts"]),
        listed("Files that do not decode", list(map(caption, findings["broken"][:MOST])), findings["broken"]),
        listed("Files of formats that are not read", list(map(caption, findings["unread"][:MOST])), findings["unread"]),
        listed("Odd files", [thumbnail(each["file"], each["why"]) for each in findings["odd"][:MOST]], findings["odd"]),
        listed("Duplicates", [group(each) for each in findings["duplicates"][:MOST]], findings["duplicates"]),
    ]
    if "doubtful" in findings:
        shown = [doubt(each) for each in findings["doubtful"][:MOST]]
        parts.append(listed("Doubtful labels", shown, findings["doubtful"]))
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    page = "\n".join([head, *parts, "</html>\n"])
    write_aside(folder / "check.html", lambda aside: aside.write_text(page, encoding="utf-8", errors="replace"))


def summary_table(summary):
    rows = [
        f"<tr><td>{name.replace('_', ' ')}</td><td>{value if isinstance(value, int) else share(value)}</td></tr>"
        for name, value in summary.items()
    ]
    return f"<table>{''.join(rows)}</table>"


def share(value):
    """A share from 0 to 1 in percent, rounded down: 100 % is all of them."""
    return f"{math.floor(round(value * 1e4, 6)) / 1e4:.2%}"


def counts_table(counts):
    """Classes down, splits across."""
    heads = "".join(f"<th>{split}</th>" for split in counts)
    rows = [
        f"<tr><td>{html.escape(printable(name))}</td>{''.join(f'<td>{of[name]:,}</td>' for of in counts.values())}</tr>"
        for name in counts["train"]
    ]
    return f"<h2>Photos of each class</h2><table><tr><th></th>{heads}</tr>{''.join(rows)}</table>"


def listed(title, shown, found):
    total = len(found)
    more = f", of which {len(shown)} are shown" if total > len(shown) else ""
    return f"<h2>{title}: {total:,}{more}</h2>" + "".join(f'<div class="group">{each}</div>' for each in shown)


def group(found):
    """The images of a group of duplicates; what stands in several splits or classes is said in red."""
    words = [
        f"<b>in several {name}</b>" for name in ("splits", "classes") if len(set(found[name])) > 1
    ]  # fmt: skip
    thumbnails = [
        thumbnail(file, f"{split}, {name}")
        for file, split, name in itertools.islice(
            zip(found["files"], found["splits"], found["classes"], strict=True), MOST_OF_GROUP
        )
    ]
    words.append(f"{len(found['files']):,} files")
    return f"<div>{' '.join([found['kind'], *words])}</div>{''.join(thumbnails)}"


def doubt(found):
    return thumbnail(found["file"], f"{found['class']}, or {found['likelier']}?")


def thumbnail(file, words):
    """A file with its name and what is said of it."""
    try:
        image = load_image(Path(file), SIDE)
    except InputError:
        return f"<figure>{caption(file, words)}</figure>"
    scale = SIDE / max(image.shape[:2])
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    encoded = cv2.imencode(".jpg", cv2.resize(image, size, interpolation=cv2.INTER_AREA))[1]
    source = base64.b64encode(encoded).decode()
    return f'<figure><img alt="" src="data:image/jpeg;base64,{source}">{caption(file, words)}</figure>'


def caption(file, words=""):
    return f"<figcaption>{html.escape(printable(file))}<br>{html.escape(printable(words))}</figcaption>"
