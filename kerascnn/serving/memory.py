"""Freed memory, given back to the system instead of kept for later.

What keeps it: TensorFlow's own pool, which its build with oneDNN has on CPUs and which never shrinks, and the C
library's arenas, one for each thread that asked for memory, each of which keeps the most that its thread ever had.
"""

import ctypes
import os

M_ARENA_MAX = -8  # of mallopt, in glibc's malloc.h


def keep_little():
    """Let this process keep little freed memory from now on. TensorFlow must not be loaded yet.

    TensorFlow takes memory from the C library, which shares two arenas among all threads where it is glibc.
    """
    os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")
    if mallopt := c_function("mallopt"):
        mallopt(M_ARENA_MAX, 2)


def give_back():
    """Give freed memory back to the system, where the C library is glibc."""
    if malloc_trim := c_function("malloc_trim"):
        malloc_trim(0)


def c_function(name):
    """A function of the C library of this process, or None."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, TypeError, AttributeError):  # Windows has no library of no name, macOS no such function
        return None
