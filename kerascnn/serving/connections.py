"""Connections of clients that take their time, or everybody's: uvicorn's protocol with an end to both."""

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CHUNKS, SMALLEST = 1000, 64  # more chunks of fewer bytes than that on average are not read


class FewChunks(h11.Connection):
    """h11's connection, which reads no more of a body of a thousand tiny chunks: a byte of these takes Python 5 µs."""

    count = size = 0

    @property
    def too_many_chunks(self):
        return self.count > MOST_CHUNKS and self.size < SMALLEST * self.count

    def next_event(self):
        event = h11.NEED_DATA if self.too_many_chunks else super().next_event()
        if isinstance(event, h11.Request):
            self.count = self.size = 0
        elif isinstance(event, h11.Data):
            self.count, self.size = self.count + 1, self.size + len(event.data)
        return event


def timed(seconds):
    """uvicorn's protocol, which aborts a connection that stands still longer than that.

    That is one whose request, headers and all, takes longer to come, or which reads no more of its answer so long; and
    one that sends too many chunks, at once.
    """

    class Timed(H11Protocol):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.conn = FewChunks(h11.SERVER)
            self.timers = {}

        def connection_made(self, transport):
            super().connection_made(transport)
            self.watch_request()

        def data_received(self, data):
            super().data_received(data)
            if self.conn.too_many_chunks:
                self.transport.abort()
            self.watch_request()

        def connection_lost(self, exc):
            super().connection_lost(exc)
            for what in list(self.timers):
                self.stop(what)

        def pause_writing(self):
            super().pause_writing()
            self.start("answer")

        def resume_writing(self):
            super().resume_writing()
            self.stop("answer")

        def watch_request(self):
            if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
                self.start("request")
            else:  # it is there; DONE only where the connection is kept for others
                self.stop("request")

        def start(self, what):
            if what not in self.timers:
                self.timers[what] = self.loop.call_later(seconds, self.transport.abort)

        def stop(self, what):
            if timer := self.timers.pop(what, None):
                timer.cancel()

    return Timed
