"""Files that show one object, told by their paths: no split may part them."""

import itertools
import re

import numpy as np

from kerascnn.errors import UsageError


def grouped(names, group_by):
    """int (N,), equal where a regular expression finds the same in two of N paths; None without an expression."""
    if not group_by:
        return None
    try:
        found = [re.search(group_by, name) for name in names]
    except re.error as error:
        words = f"group_by is {group_by!r}, which is no regular expression ({error})"
        raise UsageError(f"{words}; write one as ([^/]+/[0-9]+)", argument="group_by") from None
    keys = [match and (match[1] if match.re.groups else match[0]) for match in found]
    if None in keys:
        words = f"group_by is {group_by!r}, which is not found in {names[keys.index(None)]}"
        raise UsageError(f"{words}; write one that every path has", argument="group_by")
    return np.unique(keys, return_inverse=True)[1]


def check_groups(splits, group_by):
    """Raise UsageError where two ImageFiles of {split: …} have files of one group."""
    for (name, one), (other_name, other) in itertools.combinations(splits.items(), 2):
        if one.groups is not None and len(shared := np.intersect1d(one.groups, other.groups)):
            files = [part.names[part.groups == shared[0]][0] for part in (one, other)]
            words = f"group_by is {group_by!r}, which finds the same in {files[0]} and {files[1]}"
            remedy = f"of {name} and of {other_name}; move them into one split"
            raise UsageError(f"{words}, {remedy}", argument="group_by")
