"""What a request may look like on its connection, asked before there is a request: its head's size, and where its body
ends.
"""

import sys

import h11

TARGET = 40_960  # bytes of an address: 2,000 characters of a text are up to 24,000 when they are percent-encoded
HEADERS = 32_768  # bytes of all header lines together
HEADER_LINES = 100
VERSIONS = (b"1.0", b"1.1")
# Some send every line of a text as a chunk. Each costs as much as thousands of bytes do, so there is an end to it.
SMALL_CHUNKS, SMALLEST_CHUNK = 4_096, 32

LONG_TARGET = 414, "target", f"an address has at most {TARGET:,} bytes; longer texts are sent by POST"
LONG_HEAD = 431, "headers", f"there may be {HEADER_LINES} header lines, of {HEADERS:,} bytes together"
NOT_HTTP = 400, "request", "is none of HTTP/1 as RFC 9112 has it"
TWO_LENGTHS = 400, "content-length", "must not be there together with Transfer-Encoding"
OLD_CHUNKS = 400, "transfer-encoding", "needs HTTP/1.1"
CRUMBS = 400, "body", f"is in chunks of less than {SMALLEST_CHUNK} bytes each"


class Unreadable(h11.RemoteProtocolError):
    """What came is refused as it stands, as `status`; nothing behind it on the connection can be believed."""

    def __init__(self, status: int, field: str, detail: str):
        super().__init__(detail, status)
        self.status, self.field, self.detail = status, field, detail


class Framing(h11.Connection):
    """h11's parser of one connection, with limits; raises Unreadable for everything that is refused."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, TARGET + HEADERS)
        self.asks_head = False  # whether the last request was HEAD, whose answer has no body
        self._chunked = False
        self._bytes, self._chunks = 0, 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """The next piece of what came, as h11 says it."""
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            raise Unreadable(*self._refused(error.error_status_hint)) from None
        if isinstance(event, h11.Request):
            self._begin(event)
        elif isinstance(event, h11.Data) and self._chunked:
            self._bytes, self._chunks = self._bytes + len(event.data), self._chunks + 1
            if self._chunks > SMALL_CHUNKS and self._bytes < self._chunks * SMALLEST_CHUNK:
                raise Unreadable(*CRUMBS)
        return event

    def _refused(self, status: int) -> tuple[int, str, str]:
        if status != LONG_HEAD[0]:
            return NOT_HTTP  # an encoding that nobody here knows (501) too
        begun = self.trailing_data[0].partition(b"\n")[0]
        return LONG_TARGET if len(begun) > TARGET else LONG_HEAD

    def _begin(self, request: h11.Request) -> None:
        """A head is complete: it may be too long, or leave open where its body ends."""
        self.asks_head = request.method == b"HEAD"
        names = [name for name, _ in request.headers]
        self._chunked = b"transfer-encoding" in names
        self._bytes, self._chunks = 0, 0
        if len(request.target) > TARGET:
            raise Unreadable(*LONG_TARGET)
        size = sum(len(name) + len(value) + len(": \r\n") for name, value in request.headers)
        if len(names) > HEADER_LINES or size > HEADERS:
            raise Unreadable(*LONG_HEAD)
        if request.http_version not in VERSIONS:
            raise Unreadable(*NOT_HTTP)
        if self._chunked and b"content-length" in names:
            raise Unreadable(*TWO_LENGTHS)
        if self._chunked and request.http_version != VERSIONS[-1]:
            raise Unreadable(*OLD_CHUNKS)


def refused_now() -> tuple[int, str, str]:
    """What is refused where an Unreadable is being handled: its status, field and detail."""
    error = sys.exception()
    return (error.status, error.field, error.detail) if isinstance(error, Unreadable) else NOT_HTTP
