"""TensorFlow Serving's REST API over a Repository, as an ASGI application: status, metadata and predict.

OPTIONS is answered with the methods that are allowed and, as TensorFlow Serving does unless a flag of it says so,
without the headers that let pages of other hosts in a browser call.
"""

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

from kerascnn.serving.json_tensors import RequestError
from kerascnn.serving.memory import give_back
from kerascnn.serving.predictions import Predictions

logger = logging.getLogger(__name__)

PIECE = 2**16  # bytes of an answer that wait to be read


class ModelName(StringConvertor):
    """A model's name in a path; the colon begins the method."""

    regex = "[^/:]+"


class VersionNumber(IntegerConvertor):
    """A version in a path; 18 digits always fit TensorFlow Serving's int64."""

    regex = "[0-9]{1,18}"


register_url_convertor("model", ModelName())
register_url_convertor("number", VersionNumber())


class ReadByPieces(Response):
    """An answer that is sent as the client reads it. held: a contextlib.ExitStack, closed when all of it is sent."""

    media_type = "application/json"

    def __init__(self, content, held):
        super().__init__(content)
        self.held = held

    async def __call__(self, scope, receive, send):
        with self.held:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for start in range(0, len(self.body), PIECE):
                piece = self.body[start : start + PIECE]
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def application(repository, limits):
    """The ASGI application over a Repository, within Limits.

    Every second the repository looks for new versions on disk, and memory that was freed is given back.
    """
    predictions = Predictions(repository, limits)

    async def status(request):
        if request.method == "OPTIONS":
            return allowed("GET")
        return as_json(status_json(repository, **request.path_params))

    async def metadata(request):
        if request.method == "OPTIONS":
            return allowed("GET")
        return as_json(metadata_json(request.path_params["name"], await predictions.version(request)))

    async def predict(request):
        if request.method == "OPTIONS":
            return allowed("POST")
        with contextlib.ExitStack() as slots:
            content = await predictions.answer(request, slots)
            return ReadByPieces(content, slots.pop_all())

    routes = []
    for path in ("/v1/models/{name:model}", "/v1/models/{name:model}/versions/{number:number}"):
        routes += [
            Route(path, status, methods=["GET", "OPTIONS"]),
            Route(f"{path}/metadata", metadata, methods=["GET", "OPTIONS"]),
            Route(f"{path}:predict", predict, methods=["POST", "OPTIONS"]),
        ]
    handlers = dict.fromkeys((HTTPException, RequestError, ClientDisconnect, Exception), rejected)
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=polled(repository))
    # A path with a slash too many is answered as unknown, not sent elsewhere.
    app.router.redirect_slashes = False
    return app


def polled(repository):
    """The lifespan of an application in which these two are done every second."""

    async def poll():
        while True:
            await asyncio.sleep(1)
            try:
                for name, version in await run_in_threadpool(repository.refresh):
                    logger.info("serving %s/%s", name, version.number)
            except Exception:
                logger.exception("cannot look for new versions")
            await run_in_threadpool(give_back)

    @contextlib.asynccontextmanager
    async def lifespan(_):
        polling = asyncio.create_task(poll())
        yield
        polling.cancel()

    return lifespan


def as_json(text):
    return Response(text, media_type="application/json")


def allowed(method):
    """The answer to OPTIONS where this method is taken."""
    return Response(headers={"Allow": f"{method}, OPTIONS"})


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


def metadata_json(name, version):
    """TensorFlow Serving's GetModelMetadataResponse with the signatures of a loaded Version of the model `name`."""
    answer = {
        "model_spec": {"name": name, "signature_name": "", "version": str(version.number)},
        "metadata": {"signature_def": {"signature_def": version.definitions}},
    }
    return json.dumps(answer, indent=1)


async def rejected(request, error):
    """The answer to a request that raised `error`.

    What no route takes TensorFlow Serving calls malformed below /v1/, and knows nothing of elsewhere. Of a bug the
    client learns only that; uvicorn writes the traceback to stderr.
    """
    headers = None
    match error:
        case HTTPException():
            message = f"Malformed request: {request.method} {request.url.path[:200]}"
            status = 400 if request.url.path.startswith("/v1/") else 404
        case RequestError():
            message, status, headers = str(error), error.status, error.headers
        case ClientDisconnect():
            message, status = "the client closed the connection", 499
        case _:
            message, status = "internal error; see the server's stderr", 500
    return Response(json.dumps({"error": message}), status, headers, media_type="application/json")
