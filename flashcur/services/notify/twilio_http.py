"""How Twilio's library speaks HTTP here: through the dialler, once, in bounded time, and to an address of ours."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from flashcur.errors import TryAgainLater
from flashcur.services.notify.answers import failed
from flashcur.services.notify.dialling import Dialler
from flashcur.services.notify.retry_after import too_many_s

BUSY_S = 1.0
"""How long everything waits after a 429 that does not say: it counts what is asked at the same time."""


class TwilioHttp:
    """What the library calls an HTTP client: its own has no time-out, and writes numbers into the log."""

    is_async = True

    def __init__(self, dialler: Dialler, base: str | None, timeout_s: float, clock: Callable[[], int]) -> None:
        """`base`: scheme and host instead of Twilio's own; `timeout_s`: of a request as a whole; `clock`: Unix ms."""
        self._dialler = dialler
        self._base = base
        self._timeout_s = timeout_s
        self._clock = clock
        # The library ships no types: Any here, and nothing else sees it.
        self._response: Any = import_module("twilio.http.response").Response

    async def request(
        self,
        method: str,
        url: str,
        params: object = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        **_: object,
    ) -> Any:
        """One post, as the library asks for it; redirects are never followed.

        Raises what `Dialler.post` raises, TryAgainLater after a 429, and what `answers.failed` makes of an outage.
        """
        if method != "POST" or params:
            raise ValueError(f"expected a post without a query, was {method}")
        given = dict(headers or {})
        if auth:
            given["Authorization"] = f"Basic {b64encode(':'.join(auth).encode()).decode()}"
        answer = await self._dialler.post(
            url if self._base is None else _moved(url, self._base),
            headers=given,
            body=urlencode(data or {}).encode(),
            timeout_s=self._timeout_s,
            trusted=True,
        )
        if answer.status == 429:
            wait_s = too_many_s(answer.headers, self._clock(), BUSY_S)
            raise TryAgainLater("Twilio asks us to slow down (429)", wait_s=wait_s, whole_channel=True)
        if answer.status == 408 or answer.status >= 500:
            # What the library makes of it holds no headers.
            raise failed("Twilio", answer, self._clock())
        return self._response(answer.status, answer.body.decode(errors="replace"), answer.headers)


def _moved(url: str, base: str) -> str:
    """The URL at another scheme, host and path prefix."""
    parts, to = urlsplit(url), urlsplit(base)
    return urlunsplit((to.scheme, to.netloc, to.path.rstrip("/") + parts.path, parts.query, ""))
