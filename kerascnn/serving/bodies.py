"""The body of a request: received within its limits of bytes and seconds, and inflated where it is compressed."""

import asyncio
import gzip
import io
import zlib

import h11
from starlette.concurrency import run_in_threadpool
from uvicorn.protocols.http.h11_impl import H11Protocol

from kerascnn.serving.json_tensors import RequestError

LARGE = 2**20  # bytes


async def received(request, limits, found_large):
    """The bytes of a request's body, inflated. found_large: is called once where these are more than LARGE.

    Raises RequestError once they are too many, whatever length the client announced, and when they take too long.
    """
    most, content = limits.max_request_mib * 2**20, bytearray()
    try:
        async with asyncio.timeout(limits.send_timeout):
            async for chunk in request.stream():
                if len(content) <= LARGE < len(content) + len(chunk):
                    found_large()
                content += chunk
                check(content, most, limits)
    except TimeoutError:
        words = f"the request was not sent within {limits.send_timeout} s (--send-timeout); send it faster, or less"
        raise RequestError(words, 408, {"Connection": "close"}) from None
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        return bytes(content)
    if encoding not in ("gzip", "x-gzip"):
        words = f"Content-Encoding {encoding[:100]} is not read; send gzip, or the JSON as it is"
        raise RequestError(words, 415, {"Accept-Encoding": "gzip"})
    inflated = await run_in_threadpool(inflate, content, most)
    check(inflated, most, limits)
    if len(content) <= LARGE < len(inflated):
        found_large()
    return inflated


def check(content, most, limits):
    """Raise RequestError where these are more than `most` bytes."""
    if len(content) > most:
        words = f"the request is larger than {limits.max_request_mib} MiB (--max-request-mib)"
        raise RequestError(f"{words}; send less at a time", 413)


def inflate(content, most):
    """What a gzip stream holds, cut at one byte more than `most`. Raises RequestError where it is none."""
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            return stream.read(most + 1)
    except (OSError, EOFError, zlib.error):
        raise RequestError("the body is no whole gzip stream, as its Content-Encoding says; send one") from None


def timed(seconds):
    """uvicorn's protocol, which closes a connection whose request, headers and all, takes longer to come than that."""

    class Timed(H11Protocol):
        timer = None

        def connection_made(self, transport):
            super().connection_made(transport)
            self.watch()

        def data_received(self, data):
            super().data_received(data)
            self.watch()

        def connection_lost(self, exc):
            super().connection_lost(exc)
            self.stop()

        def watch(self):
            if self.conn.their_state is h11.DONE:
                self.stop()
            elif self.timer is None:
                self.timer = self.loop.call_later(seconds, self.transport.abort)

        def stop(self):
            if self.timer is not None:
                self.timer.cancel()
                self.timer = None

    return Timed
