"""What the classes of a classifier are called."""

from kerascnn.errors import UsageError


def checked_names(class_names, count):
    """The names of `count` classes, by default 0, 1, 2 …, as a list of texts.

    Raises UsageError for another number, and for a name of two classes.
    """
    names = list(map(str, range(count) if class_names is None else class_names))
    if len(names) != count:
        words = f"class_names has {len(names)} names for {count} logits; name each once"
        raise UsageError(words, argument="class_names")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"class_names has {twice!r} twice; name each once", argument="class_names")
    return names
