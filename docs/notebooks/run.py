"""Run notebooks from the first cell to the last and keep their output in them, as `make notebooks` does.

    python docs/notebooks/run.py [NOTEBOOK…]

Without a name all of them are run, one after the other.
"""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]


def executed(path, settings=None):
    """The notebook at `path`, a nbformat.NotebookNode, run in the checkout's root.

    settings: source that takes the place of the cell tagged `parameters`. Raises CellExecutionError where a cell does.
    """
    notebook = nbformat.read(path, as_version=4)
    if settings is not None:
        (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
        cell.source = settings
    # what native code of TensorFlow says of the machine stays out of the notebook
    quiet = ["--IPKernelApp.capture_fd_output=False"]
    client = NotebookClient(
        notebook,
        extra_arguments=quiet,
        coalesce_streams=True,
        record_timing=False,
        resources={"metadata": {"path": str(ROOT)}},
    )
    return client.execute(env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ})


def main():
    for path in map(Path, sys.argv[1:] or sorted(FOLDER.glob("*.ipynb"))):
        nbformat.write(executed(path), path)


if __name__ == "__main__":
    main()
