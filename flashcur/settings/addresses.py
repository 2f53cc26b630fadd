"""Which addresses follow from the public one: the socket's, the page's, and who may open a socket."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from flashcur.settings import Settings
from flashcur.settings.casts import origin

LOOPBACK_HOSTS = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Origins without a trailing slash."""

    page: str
    """Where visitors open the page."""
    backend: str
    """Where the page opens its socket and finds the HTTP routes; Reflex bakes it into the frontend."""
    allowed_origins: tuple[str, ...]
    """`Origin` values a socket may come from; anything else is refused."""


def port_of(address: str) -> int:
    """The port of an origin, also where it is left out because it is the scheme's own."""
    parts = urlsplit(address)
    return parts.port or (443 if parts.scheme == "https" else 80)


def addresses(settings: Settings, *, page_port: int, backend_port: int) -> Addresses:
    """The addresses of a process whose pages are on `page_port` and whose HTTP routes are on `backend_port`.

    With both on one port (the production build) the public URL is both addresses. In development they differ, and the
    backend is on the public URL's host at its own port. Without a public URL the page is reached as localhost or
    127.0.0.1 alike: Reflex's client replaces the host name `localhost` by the one in the address bar.
    """
    page = settings.public_url or origin(f"http://localhost:{page_port}")
    backend = page
    if page_port != backend_port:
        parts = urlsplit(page)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        backend = origin(f"{parts.scheme}://{host}:{backend_port}")
    origins = [page, backend]
    if not settings.is_prod:
        origins += [origin(f"http://{host}:{port}") for host in LOOPBACK_HOSTS for port in (page_port, backend_port)]
    return Addresses(page, backend, tuple(dict.fromkeys(origins)))


def routes_origin(settings: Settings) -> str:
    """Where the HTTP routes are reached from outside, by what the settings alone say: the public URL.

    In development, without one, it is this machine. For links in messages and the addresses that providers call: who
    writes them need not be the process that serves them.
    """
    return settings.public_url or origin(f"http://localhost:{settings.port}")
