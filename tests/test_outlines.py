from pathlib import Path

import pytest

from kerascnn.errors import UsageError
from kerascnn.outlines import folders


def test_scans_of_one_name_get_folders_of_their_own():
    named = [(Path(f"scans/{i}"), name) for i, name in enumerate(("a", "a", "a-2", "b", "a"))]
    places = folders(named, Path("out"))
    assert places == [Path("out") / name for name in ("a", "a-2", "a-2-2", "b", "a-3")]


def test_a_scan_is_never_its_own_place():
    with pytest.raises(UsageError, match="scans/a is a scan to read .*; choose another folder with --pictures"):
        folders([(Path("scans/a"), "a")], Path("scans"))
