"""Whose a run or an uploaded network is: who holds the token that its creation was answered with. Only the token's
fingerprint is kept.
"""

import base64
import hashlib
import hmac
import ipaddress
import re
import secrets

from starlette.requests import HTTPConnection, Request
from starlette.status import HTTP_403_FORBIDDEN

from gatescope.app.http.problems import Problem
from gatescope.app.settings import LOOPBACK

TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # 256 random bits
PORT = re.compile(r":[0-9]*$")
FORWARDING = ("forwarded", "via", "x-forwarded-for", "x-real-ip")


def bearer(authorization: str) -> str | None:
    """The token in an `Authorization: Bearer …` header, or None; a Problem (403) where it can be nobody's."""
    if not authorization:
        return None
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not TOKEN.fullmatch(token.strip()):
        raise forbidden()
    return token.strip()


def forbidden() -> Problem:
    """The problem of a request without the owner's token."""
    detail = "must be Bearer and the owner_token that was told when this was made"
    return Problem(("authorization", detail), status=HTTP_403_FORBIDDEN)


def check_owner(owner: str, authorization: str) -> None:
    """A Problem (403) unless this header holds the token with this fingerprint."""
    token = bearer(authorization)
    if token is None or not hmac.compare_digest(owner, token_hash(token)):
        raise forbidden()


def new_token(secret: bytes, key: str | None) -> str:
    """A token nobody can guess; for one idempotency key always the same, so that it can be told again and need not be
    kept.
    """
    if key is None:
        return secrets.token_urlsafe(32)
    return base64.urlsafe_b64encode(hmac.digest(secret, key.encode(), "sha256")).decode().rstrip("=")


def is_of_another_site(connection: HTTPConnection) -> bool:
    """Whether a browser says that a page of another site asks."""
    if site := connection.headers.get("sec-fetch-site"):
        return site not in ("same-origin", "none")
    origin = connection.headers.get("origin")
    if origin is None:
        return False
    scheme, _, host = origin.partition("://")
    # a proxy may take TLS off on the way, but none puts it on
    return host != connection.headers.get("host") or (scheme, connection.scope["scheme"]) == ("http", "https")


def is_at_home(request: Request) -> bool:
    """Whether the person at this machine asks, from whom nothing on it is private, and no page of another site: where
    only this machine is served, and by one of its own names, which a page cannot be given.
    """
    settings = request.app.state.settings
    return (
        settings.host in LOOPBACK
        and not settings.public
        and PORT.sub("", request.headers.get("host", "").lower()) in LOOPBACK
        and is_of_loopback(request)
        and not is_of_another_site(request)
    )


def is_of_loopback(request: Request) -> bool:
    """Whether this comes from this machine itself, and through no proxy that says so."""
    return (
        request.client is not None
        and request.client.host in LOOPBACK
        and not any(name in request.headers for name in FORWARDING)
    )


def address_hash(secret: bytes, address: str) -> str:
    """What is kept of an address: nobody who does not hold the secret can say which it was.

    Of an address of IPv6 only the network counts, whose 2^64 addresses are one person's.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # a socket of this machine has none
        place = address
    else:
        found = (found.version == 6 and found.ipv4_mapped) or found
        place = str(found if found.version == 4 else ipaddress.ip_network((int(found), 64), strict=False))
    return hmac.digest(secret, f"address\n{place}".encode(), "sha256").hex()[:32]


def token_hash(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
