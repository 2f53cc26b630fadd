"""The cookies: the session's, which scripts cannot read, and a mark that they can.

The mark tells tabs that the session changed and nothing else. The browser's cookie binds a wallet's text, and a
registration, to the browser that asked for it.
"""

from __future__ import annotations

import hashlib
import re

from starlette.responses import Response

from flashcur.services.accounts.sessions import LIFETIME, TOKEN_CHARACTERS
from flashcur.settings import Settings
from flashcur.settings.addresses import Addresses

_TOKEN = re.compile(rf"[A-Za-z0-9_-]{{{TOKEN_CHARACTERS}}}")
MARK = "flashcur_mark"
"""Name of the mark's cookie: 16 hex digits of a hash of the session's token."""
_BROWSER_HOURS = 24
"""As long as the link of a registration."""


class Cookies:
    """Names and attributes of the cookies of one deployment."""

    def __init__(self, *, secure: bool) -> None:
        """`secure`: only over HTTPS; a name with `__Host-` then cannot be set by a neighbouring subdomain."""
        self._secure = secure
        self.session = "__Host-flashcur_session" if secure else "flashcur_session"
        self.browser = "__Host-flashcur_browser" if secure else "flashcur_browser"

    def session_token(self, header: str) -> str | None:
        """The session's token in a `Cookie` header; None where there is none that could be ours."""
        return _value(header, self.session)

    def browser_token(self, header: str) -> str | None:
        """The browser's token in a `Cookie` header; None where there is none that could be ours."""
        return _value(header, self.browser)

    def sign_in(self, response: Response, token: str) -> None:
        """Put a new session into the browser, for as long as it lasts."""
        seconds = int(LIFETIME.total_seconds())
        self._set(response, self.session, token, seconds, hidden=True)
        self._set(response, MARK, hashlib.sha256(token.encode()).hexdigest()[:16], seconds, hidden=False)

    def sign_out(self, response: Response) -> None:
        """Take the session out of the browser."""
        self._set(response, self.session, "", 0, hidden=True)
        self._set(response, MARK, "", 0, hidden=False)

    def remember_browser(self, response: Response, token: str) -> None:
        """Give the browser a token of its own, for a day."""
        self._set(response, self.browser, token, _BROWSER_HOURS * 3600, hidden=True)

    def _set(self, response: Response, name: str, value: str, seconds: int, *, hidden: bool) -> None:
        response.set_cookie(
            name, value, max_age=seconds, path="/", secure=self._secure, httponly=hidden, samesite="lax"
        )


def make_cookies(settings: Settings, where: Addresses) -> Cookies:
    """Cookies for HTTPS only, except in development on an address without it."""
    return Cookies(secure=settings.is_prod or where.page.startswith("https:"))


def _value(header: str, name: str) -> str | None:
    if name not in header or len(header) > 16_384:
        return None
    for part in header.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name and _TOKEN.fullmatch(value):
            return value
    return None
