"""The body of a request: received within its limits of bytes and seconds, and inflated where it is compressed."""

import asyncio
import zlib

from starlette.concurrency import run_in_threadpool

from kerascnn.serving.json_tensors import RequestError

LARGE = 2**20  # bytes
MOST_MEMBERS = 8  # of a gzip stream; most have one


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
    small = max(len(content), claimed_length(content)) <= LARGE
    if len(content) <= LARGE and not small:
        found_large()
    inflated = await run_in_threadpool(inflate, content, LARGE if small else most)
    if small and len(inflated) > LARGE:
        raise RequestError("the body holds more than its gzip stream says at its end; send one member")
    check(inflated, most, limits)
    return inflated


def check(content, most, limits):
    """Raise RequestError where these are more than `most` bytes."""
    if len(content) > most:
        words = f"the request is larger than {limits.max_request_mib} MiB (--max-request-mib)"
        raise RequestError(f"{words}; send less at a time", 413)


def inflate(content, most):
    """What a gzip stream holds, cut at one byte more than `most`. Raises RequestError where it is none.

    Python's gzip looks at the bytes between members one by one, so members are counted here, and nothing else is read.
    """
    inflated = bytearray()
    for _ in range(MOST_MEMBERS):
        stream = zlib.decompressobj(zlib.MAX_WBITS + 16)  # 16: with the header and the checksum of gzip
        try:
            inflated += stream.decompress(content, most + 1 - len(inflated))
        except zlib.error:
            break
        content = stream.unused_data
        if len(inflated) > most or stream.eof and not content:
            return bytes(inflated)
        if not stream.eof:
            break
    raise RequestError(f"the body is no whole gzip stream of at most {MOST_MEMBERS} members; send one")


def claimed_length(content):
    """How many bytes the last member of a gzip stream says that it holds (RFC 1952, ISIZE)."""
    return int.from_bytes(content[-4:], "little")
