"""TensorFlow Serving's REST API over a Repository, as an ASGI application: status, metadata and predict."""

import asyncio
import contextlib
import json
import logging

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import IntegerConvertor, StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from kerascnn.serving import json_tensors
from kerascnn.serving.json_tensors import RequestError
from kerascnn.serving.repository import call

logger = logging.getLogger(__name__)


class ModelName(StringConvertor):
    """A model's name in a path; the colon begins the method."""

    regex = "[^/:]+"


class VersionNumber(IntegerConvertor):
    """A version in a path; 18 digits always fit TensorFlow Serving's int64."""

    regex = "[0-9]{1,18}"


register_url_convertor("model", ModelName())
register_url_convertor("number", VersionNumber())


def application(repository, max_bytes):
    """The ASGI application over a Repository; larger bodies than max_bytes are answered 413.

    Every second the repository looks for new versions on disk.
    """

    async def status(request):
        return await answered(status_json, repository, **request.path_params)

    async def metadata(request):
        return await answered(metadata_json, repository, **request.path_params)

    async def predict(request):
        return await answered(predict_json, repository, await body(request, max_bytes), **request.path_params)

    routes = []
    for path in ("/v1/models/{name:model}", "/v1/models/{name:model}/versions/{number:number}"):
        routes += [
            Route(path, status),
            Route(f"{path}/metadata", metadata),
            Route(f"{path}:predict", predict, methods=["POST"]),
        ]
    handlers = dict.fromkeys((HTTPException, RequestError, ClientDisconnect, Exception), rejected)
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=polled(repository))
    # A path with a slash too many is answered as unknown, not sent elsewhere.
    app.router.redirect_slashes = False
    return app


def polled(repository):
    """The lifespan of an application in which a Repository looks for new versions on disk every second."""

    async def poll():
        while True:
            await asyncio.sleep(1)
            try:
                for name, version in await run_in_threadpool(repository.refresh):
                    logger.info("serving %s/%s", name, version.number)
            except Exception:
                logger.exception("cannot look for new versions")

    @contextlib.asynccontextmanager
    async def lifespan(_):
        polling = asyncio.create_task(poll())
        yield
        polling.cancel()

    return lifespan


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


def status_json(repository, name, number=None):
    """TensorFlow Serving's GetModelStatusResponse. Raises RequestError for an unknown model or version."""
    versions = [version for version in repository.models.get(name, ()) if number in (None, version.number)]
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


def metadata_json(repository, name, number=None):
    """TensorFlow Serving's GetModelMetadataResponse with the signatures. Raises RequestError."""
    from google.protobuf.json_format import MessageToDict
    from tensorflow.core.protobuf import saved_model_pb2

    version = repository.version(name, number)
    message = saved_model_pb2.SavedModel.FromString((version.path / "saved_model.pb").read_bytes())
    definitions = {
        key: MessageToDict(value, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        for key, value in message.meta_graphs[0].signature_def.items()
    }
    answer = {
        "model_spec": {"name": name, "signature_name": "", "version": str(version.number)},
        "metadata": {"signature_def": {"signature_def": definitions}},
    }
    return json.dumps(answer, indent=1)


def predict_json(repository, content, name, number=None):
    """The answer to a predict request with the bytes `content`. Raises RequestError."""
    version = repository.version(name, number)
    request = json_tensors.parse_request(content)
    asked = json_tensors.signature_name(request)
    if asked not in version.signatures:
        raise RequestError(f'Serving signature name: "{asked[:100]}" not found in signature def')
    signature = version.signatures[asked]
    arrays, row = json_tensors.input_arrays(request, signature.structured_input_signature[1])
    return json_tensors.answer_json(call(signature, arrays), row)


async def rejected(request, error):
    """The answer to a request that raised `error`.

    What no route takes TensorFlow Serving calls malformed below /v1/, and knows nothing of elsewhere. Of a bug the
    client learns only that; uvicorn writes the traceback to stderr.
    """
    match error:
        case HTTPException():
            message = f"Malformed request: {request.method} {request.url.path[:200]}"
            status = 400 if request.url.path.startswith("/v1/") else 404
        case RequestError():
            message, status = str(error), error.status
        case ClientDisconnect():
            message, status = "the client closed the connection", 499
        case _:
            message, status = "internal error; see the server's stderr", 500
    return Response(json.dumps({"error": message}), status, media_type="application/json")
