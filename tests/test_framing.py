"""Heads of requests, and where bodies end: what is taken, and what is refused before it is a request."""

import httpx
import pytest

from tests.raw_http import answered, connected, in_pieces, refused, rest, sent

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /api/trace HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LAST = b"Connection: close\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
NEXT = b"GET /api/cells HTTP/1.1\r\nHost: localhost\r\n\r\n"  # what must not be answered


def lines(count: int, size: int = 1) -> bytes:
    return b"".join(b"X-%d: %s\r\n" % (number, b"y" * size) for number in range(count))


LARGE_HEADS = {
    "one line of 70,000 bytes": lines(1, 70_000),
    "one line over the limit": lines(1, 32_760),
    "5,000 lines": lines(5_000),
    "16,000 lines": lines(16_000, 30),
    "one line too many": lines(99),
    "few lines, long together": lines(40, 1_000),
    "a line that does not end": b"X: " + b"y" * 200_000,
    "a name that does not end": b"y" * 200_000,
    "the same cookie again and again": b"Cookie: a=b\r\n" * 200,
}


@pytest.mark.parametrize("kind", LARGE_HEADS)
def test_large_heads_are_refused(address, kind):
    assert set(refused(sent(address, GET + LARGE_HEADS[kind] + LAST), 431)) == {"headers"}


@pytest.mark.parametrize("kind", LARGE_HEADS)
def test_large_heads_are_refused_in_pieces_too(address, kind):
    whole = GET + LARGE_HEADS[kind] + LAST
    assert set(refused(sent(address, *in_pieces(whole, 20_000)), 431))


@pytest.mark.parametrize("extra", [b"", lines(97), lines(1, 32_000), lines(30, 1_000)])
def test_heads_within_the_limits_are_taken(address, extra):
    whole = GET + extra + LAST
    assert answered(sent(address, whole))[0] == 200
    assert answered(sent(address, *in_pieces(whole, 5_000), pause=0.01))[0] == 200


@pytest.mark.parametrize("target", [b"/" + b"a" * 70_000, b"/?text=" + b"a" * 60_000, b"/static/" + b"%41" * 20_000])
@pytest.mark.parametrize("size", [10_000, 1_000_000])
def test_long_addresses_are_refused(address, target, size):
    whole = b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert set(refused(sent(address, *in_pieces(whole, size)), 414)) == {"target"}


def test_an_address_without_end_is_refused(address):
    assert set(refused(sent(address, b"GET /" + b"a" * 300_000), 414)) == {"target"}


def test_the_longest_text_of_an_address_is_read(address):
    """2,000 characters of four bytes each, percent-encoded, in many segments."""
    target = httpx.URL(address).copy_with(path="/embed/text", params={"text": "𝄞" * 2000}).raw_path
    assert 24_000 < len(target) < 40_000
    whole = b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n" + LAST
    for size in (100_000, 1_400):
        assert answered(sent(address, *in_pieces(whole, size), pause=0.005))[0] == 200


CONTRADICTIONS = {
    "length and chunks": (b"Content-Length: 2\r\n" + CHUNKED, b"0\r\n\r\n", "content-length"),
    "chunks and length": (CHUNKED + b"Content-Length: 100\r\n", b"0\r\n\r\n", "content-length"),
    "length of nothing and chunks": (b"Content-Length: 0\r\n" + CHUNKED, b"2\r\n{}\r\n0\r\n\r\n", "content-length"),
    "two lengths": (b"Content-Length: 2\r\nContent-Length: 3\r\n", b"{}", "request"),
    "a list of lengths": (b"Content-Length: 2, 3\r\n", b"{}", "request"),
    "a negative length": (b"Content-Length: -2\r\n", b"{}", "request"),
    "a length with a sign": (b"Content-Length: +2\r\n", b"{}", "request"),
    "a length in hex": (b"Content-Length: 0x2\r\n", b"{}", "request"),
    "a length of 5,000 digits": (b"Content-Length: " + b"9" * 5000 + b"\r\n", b"{}", "request"),
    "an unknown encoding": (b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n", "request"),
    "chunks twice": (CHUNKED + CHUNKED, b"0\r\n\r\n", "request"),
    "a space before the colon": (b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n", "request"),
    "a bad chunk": (CHUNKED, b"zz\r\n{}\r\n0\r\n\r\n", "request"),
    "a negative chunk": (CHUNKED, b"-2\r\n{}\r\n0\r\n\r\n", "request"),
    "a chunk longer than it says": (CHUNKED, b"1\r\n{}\r\n0\r\n\r\n", "request"),
    "a chunk's head without end": (CHUNKED, b"2;" + b"x" * 100_000, None),
}


@pytest.mark.parametrize("kind", CONTRADICTIONS)
@pytest.mark.parametrize("path", [b"/api/trace", b"/api/models", b"/api/runs", b"/", b"/nothing"])
def test_a_body_whose_end_is_doubtful_is_refused_and_nothing_behind_it_is_served(address, kind, path, caplog):
    headers, body, field = CONTRADICTIONS[kind]
    came = sent(address, POST.replace(b"/api/trace", path) + headers + b"\r\n" + body + NEXT)
    assert came.count(b"HTTP/1.1 ") == 1 and b'"lstm"' not in came
    status, names, _ = answered(came)
    assert 400 <= status < 500 and names["connection"] == "close"
    if status == 400 and field in ("content-length", "request"):
        assert set(refused(came, 400)) == {field}
    assert [record for record in caplog.records if record.exc_info] == []


def test_chunks_of_an_old_version_are_refused(address):
    old = POST.replace(b"HTTP/1.1", b"HTTP/1.0")
    assert set(refused(sent(address, old + CHUNKED + b"\r\n0\r\n\r\n" + NEXT), 400)) == {"transfer-encoding"}


def test_crumbs_are_refused_and_lines_of_a_book_are_not(address):
    crumbs = POST + CHUNKED + b"\r\n" + b"1\r\n \r\n" * 100_000
    assert set(refused(sent(address, crumbs), 400)) == {"body"}
    line = b"%x\r\n%s\r\n" % (48, b" " * 48)
    status, _, _ = answered(sent(address, POST + CHUNKED + LAST + line * 9_000 + b"0\r\n\r\n"))
    assert status == 422


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),  # the greeting of TLS
        b"\0" * 100 + b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no host
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA: b\0c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA: b\rc\r\n\r\n",
        b"GET / HTTP/1.1\r\n: nothing\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"hello\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
    ],
)
def test_what_is_no_request_gets_a_problem(address, junk):
    assert set(refused(sent(address, junk), 400)) == {"request"}


def test_junk_behind_a_request_waits_for_its_answer(address):
    came = sent(address, GET + b"\r\n", b"junk\r\n\r\n", pause=0.2)
    first, second = came.split(b'{"status":"ok"}')
    assert answered(first)[0] == 200
    assert set(refused(second, 400)) == {"request"}


def test_the_refusal_of_a_head_has_no_body_where_the_head_alone_is_asked_for(address):
    came = sent(address, b"HEAD /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    status, _, content = answered(came)
    assert (status, content) == (414, b"")


@pytest.mark.parametrize("upgrade", [b"websocket", b"h2c"])
def test_who_asks_for_another_protocol_is_answered_in_this_one(address, upgrade, caplog):
    asked = GET + b"Connection: close, Upgrade\r\nUpgrade: " + upgrade + b"\r\n\r\n"
    with connected(address) as connection:
        connection.sendall(asked)
        assert answered(connection.recv(10_000))[0] == 200
    assert caplog.records == []


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"FOO", b"PROPFIND", b"A" * 300, b"get"])
@pytest.mark.parametrize("target", [b"/", b"/api/trace", b"*", b"localhost:443"])
def test_other_methods_get_a_problem(address, method, target):
    came = sent(address, method + b" " + target + b" HTTP/1.1\r\nHost: localhost\r\n" + LAST)
    status, headers, _ = answered(came)
    assert status in (404, 405) and headers["content-type"] == "application/problem+json"


def test_requests_in_a_row_are_answered_in_a_row(address):
    came = sent(address, (GET + b"\r\n") * 5 + GET + LAST)
    assert came.count(b"HTTP/1.1 200") == 6
    with connected(address) as connection:
        connection.sendall(POST + b"Content-Length: 2\r\n\r\n{}" + GET + LAST)
        assert rest(connection).count(b"HTTP/1.1 ") == 2
