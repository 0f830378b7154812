"""Import modules as a system without Unix's own modules would.

python -m tests.without_unix_modules MODULE...
"""

import builtins
import importlib
import sys

ABSENT = ("fcntl", "resource", "pwd", "grp", "termios")
real = builtins.__import__


def without_unix(name, globals=None, *rest, **options):
    # what Python and other packages import is their own business
    if name in ABSENT and (globals or {}).get("__name__", "").split(".")[0] in ("kerascnn", "apps"):
        raise ModuleNotFoundError(name)
    return real(name, globals, *rest, **options)


builtins.__import__ = without_unix
for name in sys.argv[1:]:
    importlib.import_module(name)
