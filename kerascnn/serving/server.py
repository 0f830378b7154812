"""A server of exported models for development and tests, with TensorFlow Serving's REST API.

    python -m kerascnn.serving.server [--models saved_models] [--host 127.0.0.1] [--port 8501]

    GET   /v1/models/NAME[/versions/V]             status of the versions
    GET   /v1/models/NAME[/versions/V]/metadata    inputs and outputs of the signatures
    POST  /v1/models/NAME[/versions/V]:predict     answers of one signature, in row or column form

NAME is a folder in --models with versions 1/, 2/, ... in it. Not here: classify, regress, labels and gRPC.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import traceback
from pathlib import Path
from typing import Annotated

import uvicorn
from cyclopts import App, Parameter
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from kerascnn import __version__
from kerascnn.cli import app as cli
from kerascnn.errors import InputError
from kerascnn.serving import json_tensors, repository
from kerascnn.serving.json_tensors import RequestError
from kerascnn.tensorflow_setup import load_tensorflow

command = App(name="python -m kerascnn.serving.server", help=__doc__, version=__version__, result_action="return_value")


class ModelName(Convertor[str]):
    """A model's name in a path; the colon begins the method."""

    regex = "[^/:]+"

    def convert(self, value):
        return value

    def to_string(self, value):
        return value


class VersionNumber(Convertor[int]):
    """A version in a path; 18 digits always fit TensorFlow Serving's int64."""

    regex = "[0-9]{1,18}"

    def convert(self, value):
        return int(value)

    def to_string(self, value):
        return str(value)


register_url_convertor("model", ModelName())
register_url_convertor("number", VersionNumber())


@command.default
def serve(
    *,
    models: Annotated[Path, Parameter(help="Folder of model folders.")] = Path("saved_models"),
    host: Annotated[
        str, Parameter(help="Address to listen on; 0.0.0.0 is every network of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen on; 0 takes a free one.")] = 8501,
    max_request_mib: Annotated[int, Parameter(help="Largest request in MiB; a larger one is answered 413.")] = 64,
):
    """Serve exported models over TensorFlow Serving's REST API until interrupted."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn ends what it is doing first, then lets the signal through to this. Before uvicorn runs nothing needs
        # ending, and an exception may come up inside asyncio, which then complains.
        signal.signal(number, lambda *_: os._exit(0))
    shelf = repository.Repository(models)
    listener = listening(host, port)
    load_tensorflow()
    shelf.refresh()
    served = [f"{name}/{shelf.default(name).number}" for name in shelf.models if shelf.default(name)]
    if not served:
        raise InputError(next(version.error for versions in shelf.models.values() for version in versions))
    cli.note(f"serving {', '.join(served)} at http://{host}:{listener.getsockname()[1]}")
    config = uvicorn.Config(
        application(shelf, max_request_mib * 2**20),
        log_level="warning",
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=30,
    )
    uvicorn.Server(config).run(sockets=[listener])


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


def application(shelf, max_bytes, poll_seconds=1):
    """The ASGI application over a Repository; bodies above max_bytes are refused, the disk is looked at every poll."""

    async def status(request):
        return await answered(status_json, shelf, **request.path_params)

    async def metadata(request):
        return await answered(metadata_json, shelf, **request.path_params)

    async def predict(request):
        return await answered(predict_json, shelf, await body(request, max_bytes), **request.path_params)

    async def poll():
        while True:
            await asyncio.sleep(poll_seconds)
            try:
                for name, version in await run_in_threadpool(shelf.refresh):
                    cli.note(f"serving {name}/{version.number}")
            except Exception:
                traceback.print_exc()

    @contextlib.asynccontextmanager
    async def lifespan(_):
        polling = asyncio.create_task(poll())
        yield
        polling.cancel()

    routes = []
    for path in ("/v1/models/{name:model}", "/v1/models/{name:model}/versions/{number:number}"):
        routes += [
            Route(path, status),
            Route(f"{path}/metadata", metadata),
            Route(f"{path}:predict", predict, methods=["POST"]),
        ]
    handlers = {HTTPException: malformed, RequestError: refused, ClientDisconnect: gone, Exception: failed}
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
    # A path with a slash too many is answered as unknown, not sent elsewhere.
    app.router.redirect_slashes = False
    return app


async def answered(answer, *arguments, **parameters):
    """The JSON that `answer` gives, in a thread of its own: models and large texts would hold up other requests."""
    return Response(await run_in_threadpool(answer, *arguments, **parameters), media_type="application/json")


async def body(request, max_bytes):
    """The bytes of a request. Raises RequestError once they are too many, whatever length the client announced."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > max_bytes:
            raise RequestError(f"request is larger than {max_bytes} bytes", 413)
    return bytes(received)


def status_json(shelf, name, number=None):
    """TensorFlow Serving's GetModelStatusResponse. Raises RequestError for an unknown model or version."""
    versions = [version for version in shelf.models.get(name, ()) if number in (None, version.number)]
    if not versions:
        what = "any versions" if number is None else f"version {number}"
        raise RequestError(f"Could not find {what} of model {name[:100]}", 404)
    states = [
        {
            "version": str(version.number),
            "state": "END" if version.error else "AVAILABLE",
            "status": {
                "error_code": "DATA_LOSS" if version.error else "OK",
                "error_message": version.error or "",
            },
        }
        for version in versions
    ]
    return json.dumps({"model_version_status": states}, indent=1)


def metadata_json(shelf, name, number=None):
    """TensorFlow Serving's GetModelMetadataResponse with the signatures. Raises RequestError."""
    from google.protobuf.json_format import MessageToDict

    version = shelf.version(name, number)
    definitions = {
        key: MessageToDict(value, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        for key, value in version.definitions().items()
    }
    answer = {
        "model_spec": {"name": name, "signature_name": "", "version": str(version.number)},
        "metadata": {"signature_def": {"signature_def": definitions}},
    }
    return json.dumps(answer, indent=1)


def predict_json(shelf, content, name, number=None):
    """The answer to a predict request with the bytes `content`. Raises RequestError."""
    version = shelf.version(name, number)
    request = json_tensors.parse_request(content)
    signature = version.signature(json_tensors.signature_name(request))
    arrays, row = json_tensors.input_arrays(request, signature.structured_input_signature[1])
    return json_tensors.answer_json(repository.call(signature, arrays), row)


def error_response(message, status):
    return Response(json.dumps({"error": message}), status, media_type="application/json")


async def malformed(request, _):
    """What no route takes: TensorFlow Serving calls it malformed below /v1/ and knows nothing elsewhere."""
    known = request.url.path.startswith("/v1/")
    return error_response(f"Malformed request: {request.method} {request.url.path[:200]}", 400 if known else 404)


async def refused(_, error):
    return error_response(str(error), error.status)


async def gone(_, error):
    return error_response("the client closed the connection", 499)


async def failed(_, error):
    """A bug: the client learns only that; uvicorn writes the traceback to stderr."""
    return error_response("internal error; see the server's stderr", 500)


if __name__ == "__main__":
    cli.run(command)
