"""Outlining what a segmentation model finds in a user's scans: masks, overlays and a report for each."""

import functools

import numpy as np

from kerascnn.cli import app as cli
from kerascnn.cli import classification as verbs
from kerascnn.errors import InputError, InputRejected
from kerascnn.files import write_aside, writing_to
from kerascnn.saved_model.versions import latest_version
from kerascnn.tumors.report import NOTICE, tumor_size, write_report


def predict(paths, app, out, server, pictures, modalities):
    """Outline the tumor in each scan: a JSON object a scan on stdout, its files in a folder of its own in `pictures`.

    modalities: the volumes of a NIfTI patient for a server's model; a model in `out` says itself. Raises InputError,
    after all others are outlined, naming the scans that cannot be read and those that the model does not take.
    """
    from kerascnn.tumors.scans import read_scan, scan_name

    channels = 3
    if record := verbs.recorded(out, app):
        channels, modalities = len(record["data"]["channels"]), record["recipe"]["modalities"]
    places = verbs.places_of([(path, scan_name(path)) for path in paths], pictures)
    faults = []
    answer = functools.cache(lambda: verbs.answerer(app, out, server, {"probability", "mask"}))  # for the first scan

    def read(pair):
        return read_scan(pair[0], channels, modalities)

    for (path, place), scan in verbs.loaded(zip(paths, places, strict=True), read, faults):
        made_by = f"{app} at {server}" if server else f"{app}, {latest_version(out)}"
        try:
            answers = answer()(scan.images[np.newaxis], "predict_volume")
        except InputRejected as error:
            faults.append(f"cannot outline {path}: {error}")
            continue
        with writing_to(place):
            outlined = outline(scan, path, answers, place, made_by)
        cli.result({"file": str(path), **outlined})
    if len(faults) < len(paths):
        cli.note(f"note: {NOTICE}")
    if faults:
        raise InputError("; ".join(faults))


def outline(scan, source, answers, place, model):
    """What `predict` prints of the scan that lies at `source`; writes mask, overlay and report into `place`.

    answers: what the signature predict_volume says of the scan.
    """
    from kerascnn.images import save_image
    from kerascnn.segmentation.overlays import mask_sheet

    probability, mask = answers["probability"][0], answers["mask"][0].astype(np.uint8)
    place.mkdir(parents=True, exist_ok=True)
    overlay, report = place / "overlay.png", place / "report.html"
    if report.exists():
        # masks of another scan of this name
        for earlier in (place / "mask.nii.gz", place / "mask.png", *(place / "masks").glob("*_mask.png")):
            earlier.unlink(missing_ok=True)
    if scan.nifti is not None:
        from kerascnn.tumors.nifti import write_mask

        written = place / "mask.nii.gz"
        write_aside(written, lambda path: write_mask(path, mask, scan.nifti))
    elif len(mask) == 1:
        written = place / "mask.png"
        save_image(written, mask[0] * 255)
    else:
        written = place / "masks"
        for file, each in zip(scan.files, mask, strict=True):
            save_image(written / f"{file}_mask.png", each * 255)
    write_aside(overlay, lambda path: mask_sheet(scan.images, mask, scan.labels(), path))
    write_aside(report, lambda path: write_report(path, scan, source, probability, mask, overlay, model))
    return {
        "slices": len(mask),
        "slices_with_tumor": int(mask.any((1, 2, 3)).sum()),
        **tumor_size(int(mask.sum()), scan.spacing),
        "mask": str(written),
        "overlay": str(overlay),
        "report": str(report),
    }
