from pathlib import Path

import pytest

from kerascnn.errors import UsageError
from kerascnn.outlines import folders


def test_scans_of_one_name_get_folders_of_their_own():
    named = [(Path(f"scans/{i}"), name) for i, name in enumerate(("a", "a", "a-2", "b", "a"))]
    places = folders(named, Path("out"))
    assert places == [Path("out") / name for name in ("a", "a-2", "a-2-2", "b", "a-3")]


@pytest.mark.parametrize("other", ["scans/a", "scans/a/mask.png", "scans/a/masks/a_1_mask.png"])
def test_no_scan_lies_where_anything_is_written(other):
    words = f"scans/a is or holds {other}, a scan to read; choose another --pictures"
    with pytest.raises(UsageError, match=f"^{words}$"):
        folders([(Path("scans/a.png"), "a"), (Path(other), "b")], Path("scans"))
