"""Mail through SendGrid's v3 API: its own library makes the mail, the dialler posts it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from flashcur.domain.delivery.text_fit import one_line
from flashcur.errors import DeliveryError, Refused, TryAgainLater, Unanswered
from flashcur.services.kit.clock import now_ms
from flashcur.services.notify.answers import failed
from flashcur.services.notify.dialling import Answer, Dialler
from flashcur.services.notify.port import KEY_ARG
from flashcur.services.notify.retry_after import too_many_s
from flashcur.services.notify.templates import Rendered
from flashcur.settings import Secret

# The library ships no types: Any here, and nothing else sees it.
_mail: Any = import_module("sendgrid.helpers.mail")

logger = logging.getLogger(__name__)

HOST = "https://api.sendgrid.com"
PATH = "/v3/mail/send"
TIMEOUT_S = 10.0
"""Of a whole request; it answers in a fraction of a second, or has a problem."""
RETRY_S = 5.0
REFUSED_RETRY_S = 900.0
"""What is to be corrected by the operator is asked this often; the mail goes as soon as it is."""
ACCEPTED = 202
"""200 would mean that a mail is valid and is not delivered (SendGrid's sandbox)."""


class SendGridSender:
    """Hands mail to SendGrid. See `services.notify.port.MailSender`."""

    def __init__(
        self,
        dialler: Dialler,
        api_key: Secret,
        from_email: str,
        host: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        """`host`: scheme and host instead of SendGrid's own; `clock`: Unix ms."""
        self._dialler = dialler
        self._api_key = api_key
        self._from_email = from_email
        self._url = (host or HOST).rstrip("/") + PATH
        self._timeout_s = timeout_s
        self._clock = clock
        self._refused = False

    async def send(
        self, recipient: str, rendered: Rendered, *, headers: Mapping[str, str] | None = None, key: str = ""
    ) -> str:
        """Returns SendGrid's message id, empty if it names none. `key` comes back with each event of the mail.

        Raises DeliveryError and its kinds.
        """
        answer = await self._dialler.post(
            self._url,
            headers={"Authorization": f"Bearer {self._api_key.reveal()}", "Content-Type": "application/json"},
            body=json.dumps(self._body(recipient, rendered, headers or {}, key)).encode(),
            timeout_s=self._timeout_s,
            trusted=True,
        )
        if answer.status != ACCEPTED:
            raise self._problem(answer)
        self._refused = False
        return one_line(answer.headers.get("X-Message-Id", ""))[:128]

    def _body(self, recipient: str, rendered: Rendered, headers: Mapping[str, str], key: str) -> dict[str, object]:
        mail: Any = _mail.Mail(from_email=_address(self._from_email, "FlashCur"), subject=rendered.subject)
        people: Any = _mail.Personalization()
        people.add_to(_address(recipient))
        mail.add_personalization(people)
        for name, value in headers.items():
            mail.add_header(_mail.Header(name, value))
        if key:
            mail.add_custom_arg(_mail.CustomArg(KEY_ARG, key))
        # Account mail is not for measuring, and a rewritten link would not work. A link that ends it would end resets.
        mail.tracking_settings = _mail.TrackingSettings(
            _mail.ClickTracking(False, False),
            _mail.OpenTracking(False),
            _mail.SubscriptionTracking(False),
            _mail.Ganalytics(False),
        )
        # The library refuses a text that begins like one of its keys, as a rule's name may.
        parts = (("text/plain", rendered.text), ("text/html", rendered.html))
        return {**mail.get(), "content": [{"type": kind, "value": value} for kind, value in parts]}

    def _problem(self, answer: Answer) -> DeliveryError:
        status = answer.status
        said = one_line(answer.body.decode(errors="replace"))[:200]
        message = f"SendGrid answered {status}{f': {said}' if said else ''}"
        if status in (401, 403):
            if not self._refused:
                logger.error(
                    "%s. Check SENDGRID_API_KEY (it needs Mail Send), the account's credits, and that "
                    "FLASHCUR_FROM_EMAIL is a verified sender; mail waits",
                    message,
                )
            self._refused = True
            return TryAgainLater(message, wait_s=REFUSED_RETRY_S, whole_channel=True)
        if status == 429:
            wait_s = too_many_s(answer.headers, self._clock(), RETRY_S)
            return TryAgainLater(message, wait_s=wait_s, whole_channel=True)
        if status < 400:
            # A redirect, or what something between us and SendGrid says: of this mail alone, and of none certainly.
            return Unanswered(f"{message}, where {ACCEPTED} was expected")
        if status == 408 or status >= 500:
            return failed("SendGrid", answer, self._clock())
        return Refused(message)


def _address(email: str, name: str | None = None) -> Any:
    """As it is: the library's own way would read the text as a name and an address."""
    address: Any = _mail.Email(name=name)
    address.email = email
    return address
