"""Data sets that TensorFlow Datasets prepares from their original files, and how they are read back."""

import contextlib
import logging
import os
import sys
import tarfile
from pathlib import Path

from kerascnn.errors import InputError, UsageError, reason_of


def folder(data_dir=None):
    """The folder TensorFlow Datasets works in: data_dir, else TFDS_DATA_DIR, else its own default."""
    return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def prepared_builder(name, create, root, manual, check_originals):
    """The TFDS builder create(data_dir=root), prepared first where need be.

    manual: where TFDS looks for files placed by hand. check_originals(builder): called before anything is prepared;
    raises what keeps it from being done. Raises InputError when `root` is no folder or holds damaged files.
    """
    import tensorflow_datasets as tfds
    from google.protobuf.json_format import ParseError
    from tensorflow.errors import OpError
    from tensorflow_datasets.core.download.extractor import ExtractError
    from tensorflow_datasets.core.download.util import DownloadError

    tfds.disable_progress_bar()
    # TFDS warns of a folder that is merely absent.
    logging.getLogger("absl").setLevel(logging.ERROR)
    if root.exists() and not root.is_dir():
        raise InputError(f"{root} is no folder; choose another data_dir")
    try:
        builder = create(data_dir=root)
        ready = builder.is_prepared()
    except UsageError:
        raise
    except (ParseError, ValueError, OSError) as error:
        reason = reason_of(error)
        raise InputError(f"{root / name} is damaged ({reason}); delete the folder and run again") from error
    if ready:
        return builder
    check_originals(builder)
    try:
        # TFDS tells of its work on stdout, where results belong.
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=manual))
    except tfds.core.download.download_manager.NonMatchingChecksumError as error:
        reason = reason_of(error)
        raise InputError(
            f"the download of {name} is damaged ({reason}); run again, or place the files by hand"
        ) from error
    except FileExistsError:
        # another process was faster
        return create(data_dir=root)
    # files to be placed by hand, and packages that are not there
    except (OSError, AssertionError, ImportError, DownloadError, ExtractError, tarfile.TarError, OpError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"cannot prepare {name} in {root}: {reason}; run again, or choose another data_dir") from error
    return builder


def arrays(builder, split):
    """{feature: array} of all examples of a split in file order. Raises InputError when the files are damaged."""
    import tensorflow as tf

    try:
        examples = builder.as_dataset(split=split, batch_size=-1, shuffle_files=False)
    except (tf.errors.DataLossError, tf.errors.NotFoundError, tf.errors.InvalidArgumentError) as error:
        reason = reason_of(error)
        raise InputError(
            f"the prepared data in {builder.data_path} are damaged ({reason}); delete the folder and run again"
        ) from error
    return {name: value.numpy() for name, value in examples.items()}
