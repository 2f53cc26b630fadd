"""Mail through SendGrid's v3 API, with its own client library."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http.client import HTTPException
from importlib import import_module
from typing import Any
from urllib.error import URLError

from flashcur.errors import MailError
from flashcur.services.kit.clock import now_ms
from flashcur.services.notify.port import KEY_ARG
from flashcur.services.notify.retry_after import retry_after_s
from flashcur.services.notify.templates import Rendered
from flashcur.settings import Secret

# Neither library ships types: both are Any here, and nothing else sees them.
_Client: Any = import_module("sendgrid").SendGridAPIClient
_exceptions: Any = import_module("python_http_client.exceptions")

logger = logging.getLogger(__name__)
# At its debug level the library writes the key and the links down.
logging.getLogger("python_http_client").setLevel(logging.INFO)

HOST = "https://api.sendgrid.com"
TIMEOUT_S = 10.0
"""For connecting and for each read; it answers in a fraction of a second, or has a problem."""
RETRY_S = 5.0
REFUSED_RETRY_S = 900.0
"""What is to be corrected by the operator is asked this often; the mail goes as soon as it is."""
ACCEPTED = 202
"""200 would mean that a mail is valid and is not delivered (SendGrid's sandbox)."""

# Account mail is not for measuring, and a rewritten link would not work. The unsubscribe link would stop resets.
TRACKING_OFF = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
    "ganalytics": {"enable": False},
}


class SendGridSender:
    """Hands mail to SendGrid."""

    def __init__(
        self,
        api_key: Secret,
        from_email: str,
        host: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        """`host`: scheme and host instead of SendGrid's own; `clock`: Unix ms."""
        self._from_email = from_email
        self._clock = clock
        self._refused = False
        self._client: Any = _Client(api_key=api_key.reveal(), host=host or HOST)
        # The API class does not take it; its HTTP client hands it on to every request.
        self._client.client.timeout = timeout_s

    def send(
        self, recipient: str, rendered: Rendered, *, headers: Mapping[str, str] | None = None, key: str = ""
    ) -> str:
        """Returns SendGrid's message id, empty if it names none. `key` comes back with each event of the mail.

        Raises MailError.
        """
        try:
            response = self._client.send(self._body(recipient, rendered, headers, key))
        except _exceptions.HTTPError as error:
            raise self._problem(error.status_code, error.headers or {}, error.body) from error
        except URLError as error:
            # Raised until all was written: what is not whole is not taken.
            raise MailError(f"SendGrid cannot be reached: {error.reason}", retry_after=RETRY_S) from error
        except (OSError, HTTPException) as error:
            raise MailError(f"SendGrid did not answer: {error}", retry_after=RETRY_S, unanswered=True) from error
        if response.status_code != ACCEPTED:
            raise MailError(
                f"SendGrid: expected {ACCEPTED}, was {response.status_code}",
                retry_after=REFUSED_RETRY_S,
                everything=True,
            )
        self._refused = False
        return response.headers.get("X-Message-Id") or ""

    def _body(
        self, recipient: str, rendered: Rendered, headers: Mapping[str, str] | None, key: str
    ) -> dict[str, object]:
        more: dict[str, object] = {}
        if headers:
            more["headers"] = dict(headers)
        if key:
            more["custom_args"] = {KEY_ARG: key}
        return {
            "personalizations": [{"to": [{"email": recipient}]}],
            "from": {"email": self._from_email, "name": "FlashCur"},
            "subject": rendered.subject,
            "content": [
                {"type": "text/plain", "value": rendered.text},
                {"type": "text/html", "value": rendered.html},
            ],
            "tracking_settings": TRACKING_OFF,
            **more,
        }

    def _problem(self, status: int, headers: Mapping[str, str], body: bytes) -> MailError:
        said = " ".join(body.decode(errors="replace").split())[:200]
        message = f"SendGrid answered {status}: {said}"
        if status in (401, 403):
            if not self._refused:
                logger.error(
                    "%s. Check SENDGRID_API_KEY (it needs Mail Send), the account's credits, and that "
                    "FLASHCUR_FROM_EMAIL is a verified sender; mail waits",
                    message,
                )
            self._refused = True
            return MailError(message, retry_after=REFUSED_RETRY_S, everything=True)
        if status in (408, 429) or status >= 500:
            wait_s = retry_after_s(headers, self._clock(), RETRY_S)
            return MailError(message, retry_after=wait_s, everything=status == 429, unanswered=status in (408, 504))
        return MailError(message)
