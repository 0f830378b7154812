"""A server of exported models for development and tests, with TensorFlow Serving's REST API.

    python -m kerascnn.serving.server [--models saved_models] [--host 127.0.0.1] [--port 8501]

    GET   /v1/models/NAME[/versions/V]             status of the versions
    GET   /v1/models/NAME[/versions/V]/metadata    inputs and outputs of the signatures
    POST  /v1/models/NAME[/versions/V]:predict     answers of one signature, in row or column form

NAME is a folder in --models with versions 1/, 2/, ... in it. Not here: classify, regress, labels and gRPC.
"""

import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated

import uvicorn
from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number

from kerascnn import __version__
from kerascnn.errors import InputError, printable
from kerascnn.files import open_closed_streams, reading_from
from kerascnn.serving.connections import timed
from kerascnn.serving.limits import Limits, whole
from kerascnn.serving.memory import keep_little
from kerascnn.serving.repository import Repository
from kerascnn.serving.rest import application
from kerascnn.tensorflow_setup import load_tensorflow

command = App(name="python -m kerascnn.serving.server", help=__doc__, version=__version__, result_action="return_value")
logger = logging.getLogger("kerascnn.serving")
DEFAULTS = Limits()


@command.default
def serve(
    *,
    models: Annotated[Path, Parameter(help="Folder of model folders.")] = Path("saved_models"),
    host: Annotated[
        str, Parameter(help="Address to listen on; 0.0.0.0 is every network of this machine.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        Parameter(help="Port to listen on; 0 takes a free one.", converter=whole, validator=Number(gte=0, lte=65_535)),
    ] = 8501,
    limits: Annotated[Limits, Parameter(name="*")] = DEFAULTS,
):
    """Serve exported models over TensorFlow Serving's REST API until interrupted."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn ends what it is doing first, then lets the signal through to this. Before uvicorn runs nothing needs
        # ending, and an exception may come up inside asyncio, which then complains.
        signal.signal(number, lambda *_: os._exit(0))
    logger.addHandler(logging.StreamHandler())
    logger.setLevel(logging.INFO)
    with reading_from(models):
        repository = Repository(models)
    listener = listening(host, port)
    keep_little()
    load_tensorflow()
    share_threads()
    repository.refresh()
    served = [f"{name}/{repository.default(name).number}" for name in repository.models if repository.default(name)]
    if not served:
        raise InputError(next(version.error for versions in repository.models.values() for version in versions))
    address = f"[{host}]" if ":" in host else host
    logger.info("serving %s at http://%s:%s", ", ".join(served), address, listener.getsockname()[1])
    config = uvicorn.Config(
        application(repository, limits),
        http=timed(limits.send_timeout + 1),  # after what is answered when the body alone takes so long
        timeout_keep_alive=limits.send_timeout,
        log_level="warning",
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=30,
    )
    uvicorn.Server(config).run(sockets=[listener])


def share_threads():
    """Let TensorFlow compute each operation in one thread, so that a large one leaves threads to other requests."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(max(8, os.cpu_count() or 1))


def listening(host, port):
    """A socket that listens. Raises InputError when the address cannot be had."""
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        # asyncio does this only for sockets it made itself; without it every answer waits 40 ms for an acknowledgement
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except (OSError, OverflowError) as error:
        # the socket module says the address once more, behind the reason
        reason = str(getattr(error, "strerror", None) or error).partition(" (while")[0]
        raise InputError(f"cannot listen on {host}:{port} ({reason}); choose another --host or --port") from None


def main(arguments=None):
    """Run the command on `arguments` (default: the command line).

    Exit code 2 for bad usage, 3 where a folder or an address cannot be used.
    """
    open_closed_streams()
    try:
        command(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        words = " ".join(str(error).split()).removesuffix(".")
        fail(f"{words[:1].lower()}{words[1:]}; --help lists what is taken", 2)
    except InputError as error:
        fail(error, 3)


def fail(message, exit_code):
    print(f"error: {printable(str(message))}", file=sys.stderr)
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
