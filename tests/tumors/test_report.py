import dataclasses
from pathlib import Path

import numpy as np
import pytest

from kerascnn.tumors.report import tumor_size, write_report
from kerascnn.tumors.scans import Scan

SCAN = Scan(Path("scans/p<1>"), np.zeros((2, 4, 4, 3), np.uint8), spacing=(4.0, 1.5, 2.0), nifti=object())


def report(scan, folder):
    mask = np.zeros((2, 4, 4, 1), np.uint8)
    mask[1, :2, :2] = 1
    (folder / "overlay.png").write_bytes(b"pixels")
    write_report(folder / "report.html", scan, 0.25 + mask / 2, mask, folder / "overlay.png", "tumors, 1")
    return (folder / "report.html").read_text()


def test_a_volume_is_told_in_millilitres_and_its_slices_in_square_millimetres(tmp_path):
    page = report(SCAN, tmp_path)
    # a voxel has 4 * 1.5 * 2 = 12 mm³ and 1.5 * 2 = 3 mm² in its slice
    assert tumor_size(4, SCAN.spacing) == {"tumor_voxels": 4, "millilitres": pytest.approx(0.048)}
    assert "2 slices, tumor found in 1; 4 voxels, 0.0 ml. The patient's left is on the left." in page
    assert "<tr><td>1</td><td>0</td><td>0</td><td>0.25</td></tr>" in page
    assert "<tr><td>2</td><td>4</td><td>12</td><td>0.75</td></tr>" in page
    assert "<h1>p&lt;1&gt;</h1>" in page
    assert "<p>scans/p&lt;1&gt;</p>" in page


def test_a_name_moves_no_cursor_and_no_reading_direction(tmp_path):
    page = report(dataclasses.replace(SCAN, path=Path("scans/\x1b[2Ja\u202eb\udcff")), tmp_path)
    assert r"<h1>\x1b[2Ja\u202eb\udcff</h1>" in page


def test_images_have_pixels_only(tmp_path):
    page = report(dataclasses.replace(SCAN, spacing=None, nifti=None), tmp_path)
    assert "4 voxels. </p>" in page
    assert "mm²" not in page
    assert "<tr><td>2</td><td>4</td><td>0.75</td></tr>" in page
