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
        masks = folder / "mask.nii.gz", folder / "mask.png", *(folder / "masks").glob("*_mask.png")
        earlier = set(masks) if report.exists() else set()  # of another scan of this name
        if scan.nifti is not None:
            place = folder / "mask.nii.gz"
            written = {place}
            write_aside(place, lambda path: write_mask(path, mask, scan.nifti))
        else:
            place = folder / "mask.png" if len(mask) == 1 else folder / "masks"
            places = [place] if len(mask) == 1 else [place / f"{file}_mask.png" for file in scan.files]
            written = set(places)
            for file, each in zip(places, mask, strict=True):
                save_image(file, each * 255)
        slice_sheet(scan.images, [(mask, PREDICTION)], scan.labels(), overlay)
        write_aside(report, lambda path: write_report(path, scan, probabilities, mask, overlay, model))
        for mask_before in earlier - written:
            mask_before.unlink(missing_ok=True)
    return {
        "slices": len(mask),
        "slices_with_tumor": int(mask.any((1, 2, 3)).sum()),
        **tumor_size(int(mask.sum()), scan.spacing),
        "mask": str(place),
        "overlay": str(overlay),
        "report": str(report),
    }
