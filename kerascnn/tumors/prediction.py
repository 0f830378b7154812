"""What a segmentation model finds in a user's scan, as files: mask, overlay and report."""

import numpy as np

from kerascnn.files import write_aside, writing_to
from kerascnn.images import save_image
from kerascnn.segmentation.overlays import PREDICTION, slice_sheet
from kerascnn.tumors.nifti import write_mask
from kerascnn.tumors.report import tumor_size, write_report


def write_prediction(scan, answers, folder, model):
    """Write mask, overlay and report of a Scan into `folder`: a dict of their places and tumor size.

    answers: what the signature predict_volume says of the scan. model: a line about what made the mask.
    """
    probabilities, mask = answers["probability"][0], answers["mask"][0].astype(np.uint8)
    overlay, report = folder / "overlay.png", folder / "report.html"
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if report.exists():
            # masks of another scan of this name
            for earlier in (folder / "mask.nii.gz", folder / "mask.png", *(folder / "masks").glob("*_mask.png")):
                earlier.unlink(missing_ok=True)
        if scan.nifti is not None:
            place = folder / "mask.nii.gz"
            write_aside(place, lambda path: write_mask(path, mask, scan.nifti))
        elif len(mask) == 1:
            place = folder / "mask.png"
            save_image(place, mask[0] * 255)
        else:
            place = folder / "masks"
            for file, each in zip(scan.files, mask, strict=True):
                save_image(place / f"{file}_mask.png", each * 255)
        slice_sheet(scan.images, [(mask, PREDICTION)], scan.labels(), overlay)
        write_aside(report, lambda path: write_report(path, scan, probabilities, mask, overlay, model))
    return {
        "slices": len(mask),
        "slices_with_tumor": int(mask.any((1, 2, 3)).sum()),
        **tumor_size(int(mask.sum()), scan.spacing),
        "mask": str(place),
        "overlay": str(overlay),
        "report": str(report),
    }
