"""Who is let in: how many requests there may be at a time, and whose turn it is."""

import asyncio
import contextlib

from starlette.requests import ClientDisconnect

from kerascnn.serving.json_tensors import RequestError

RETRY = {"Retry-After": "1"}  # seconds


class Slots:
    """Slots of which one is taken at once or not at all. words: what there are too many of then, for a message."""

    def __init__(self, count, words):
        self._free, self._words = count, words

    @contextlib.contextmanager
    def taken(self):
        """One of them. Raises RequestError where none is free."""
        if not self._free:
            raise RequestError(f"{self._words}; try again later", 503, RETRY)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


class WorkerQueue:
    """Workers of which each is used by one request at a time, in the order in which they came."""

    def __init__(self, workers, seconds):
        self._free, self._seconds = asyncio.Queue(), seconds
        for worker in workers:
            self._free.put_nowait(worker)

    @contextlib.asynccontextmanager
    async def one(self, request):
        """A worker, for a request. Raises RequestError when it waits too long, ClientDisconnect when nobody does."""
        try:
            async with asyncio.timeout(self._seconds):
                worker = await self._free.get()
        except TimeoutError:
            words = f"the answering has not begun within {self._seconds} s (--deadline)"
            raise RequestError(f"{words}; try again later", 504, RETRY) from None
        try:
            if await request.is_disconnected():
                raise ClientDisconnect
            yield worker
        finally:
            self._free.put_nowait(worker)
