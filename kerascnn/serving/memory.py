"""Memory that would be kept for later: not kept, or given back.

oneDNN keeps a routine for each size of image that came, in each thread, and TensorFlow's build with it a pool of memory
that never shrinks. The C library keeps what was freed in arenas, one for each thread that asked for memory.
"""

import ctypes
import os

# of mallopt, in glibc's malloc.h
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
LARGE = 2**20  # bytes


def keep_little():
    """Let this process keep little memory from now on. TensorFlow must not be loaded yet.

    TensorFlow computes without oneDNN. Where the C library is glibc, all threads share two arenas, and what is large
    comes from the system and goes back to it at once, without leaving holes.
    """
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # which `import kerascnn` has set to 1
    if mallopt := c_function("mallopt"):
        mallopt(M_ARENA_MAX, 2)
        mallopt(M_MMAP_THRESHOLD, LARGE)


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
