"""Alerts as SMS, through Twilio's API with its own library."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any
from urllib.parse import quote

from flashcur.domain.delivery.gsm7 import SEGMENT, cut, septets, to_gsm7
from flashcur.domain.delivery.message import Message
from flashcur.errors import DeliveryError, Gone, Refused, TryAgainLater, Unanswered
from flashcur.services.kit.clock import now_ms
from flashcur.services.notify.channel import Handed, Outgoing, Payload, cannot_send
from flashcur.services.notify.dialling import Dialler
from flashcur.services.notify.twilio_http import TwilioHttp
from flashcur.settings import Secret, Settings
from flashcur.settings.addresses import routes_origin

logger = logging.getLogger(__name__)

STATUS_PATH = "/webhooks/twilio/status"
"""Where Twilio says what became of a message."""
TIMEOUT_S = 10.0
"""Of a whole request, in seconds."""
SENDER = "FlashCur: "
"""Who writes: carriers ask for it, and the number says nothing."""
LINK_MOST = 80
"""Septets of a link; a longer one would leave no room for what happened, and is left out."""
BLANK = "\x1a"
"""Stands in a stored text for the code that is put in when it is sent: no text of ours or anybody's holds it."""
OPERATOR_WAIT_S = 300.0
"""How often is asked again what only the operator can mend, in seconds."""
_VALID_S = (5, 36_000)
"""How long Twilio may keep a message waiting at the least and at the most, in seconds."""

_GONE = {
    21211: "This number does not exist.",
    21214: "This number cannot be reached.",
    21217: "This number does not exist.",
    21614: "This is not a mobile number.",
}
"""Twilio's error codes after which the number is not tried again, in words for its owner."""
STOPPED = 21610
"""The error code for a number that has answered STOP."""
STOPPED_TEXT = "You answered STOP from this number. Text START to FlashCur’s number to get messages again."
_COUNTRY = 21408
"""The error code for a country that the operator has not allowed."""
_OPERATORS = frozenset({20003, 20005, 20404, 21266, 21606, 21659, 21660, 63038})
"""Credentials, balance or the sender's number: nothing that a user can mend."""
_WAIT = {21611: 60.0, 20429: 1.0, 14107: 10.0}
"""The queue is full, or too much was asked at once: seconds until the next try, for the whole channel."""


class SmsChannel:
    """See `services.notify.channel.Channel`."""

    name = "sms"
    rate = 1.0
    """What carriers take of one long number a second."""
    recipient_rate = 1.0
    own_servers = False
    useful_s = 15 * 60

    def __init__(
        self,
        settings: Settings,
        dialler: Dialler,
        *,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        """`timeout_s`: of a whole request; `clock`: Unix ms."""
        twilio = settings.twilio
        self._from = twilio.from_number or ""
        self._secret = settings.secret_key
        self._callback = routes_origin(settings) + STATUS_PATH
        # Twilio refuses a call-back that it cannot reach, and with it the message.
        self._calls_back = settings.is_prod or twilio.api_base is not None
        self._clock = clock
        self._client: Any = None
        # The library is large, and has no types: who sends nothing does without it.
        if twilio.account_sid and twilio.auth_token and twilio.from_number:
            self._errors: Any = import_module("twilio.base.exceptions")
            http = TwilioHttp(dialler, twilio.api_base, timeout_s, clock)
            # With an environment of its own the library reads no variables that no setting names.
            self._client = import_module("twilio.rest").Client(
                twilio.account_sid, twilio.auth_token.reveal(), http_client=http, environment={"FLASHCUR": "1"}
            )

    @property
    def problem(self) -> str:
        """See `Channel`."""
        return "" if self._client is not None else cannot_send("sms")

    def render(self, message: Message) -> Payload:
        """`text`: one segment of the GSM alphabet, whatever is in the message."""
        return {"text": alert_text(message)}

    async def send(self, outgoing: Outgoing) -> Handed:
        """Raises DeliveryError and its kinds. Twilio knows no idempotency keys: what it did not answer to may come
        twice."""
        if self._client is None:
            raise TryAgainLater(self.problem, wait_s=OPERATOR_WAIT_S, whole_channel=True)
        left_s = (outgoing.expires_ms - self._clock()) // 1000
        try:
            sent = await self._client.messages.create_async(
                to=outgoing.recipient,
                from_=self._from,
                body=filled_in(outgoing.payload, self._secret),
                validity_period=min(max(left_s, _VALID_S[0]), _VALID_S[1]),
                **self._call_back(outgoing.key),
            )
        except self._errors.TwilioRestException as error:
            raise _refusal(error.status, error.code, str(error.msg)) from error
        except self._errors.TwilioServiceException as error:
            raise _refusal(error.status, error.code, str(error.detail or error.title)) from error
        except (json.JSONDecodeError, TypeError, AttributeError, KeyError) as error:
            raise Unanswered("Twilio’s answer could not be read") from error
        if not isinstance(sent.sid, str) or not sent.sid:
            raise Unanswered("Twilio answered without the message's id")
        return Handed(sent.sid, "accepted")

    def _call_back(self, key: str) -> dict[str, str]:
        # By its key a message is found even if what became of it is told before its id is stored.
        return {"status_callback": f"{self._callback}?delivery={quote(key, safe='')}"} if self._calls_back else {}


def alert_text(message: Message) -> str:
    """The message in one segment: first what happened and the link, then as many lines as fit."""
    link = to_gsm7(message.link)
    tail = f"\n{link}" if link == message.link and septets(link) <= LINK_MOST else ""
    more = f"\n+{message.more} more" if message.more else ""
    room = SEGMENT - septets(tail) - septets(more)
    text = cut(SENDER + _line(message.title), room)
    for line in (_line(each) for each in (*message.lines, message.note)):
        if line and septets(text) + 1 + septets(line) > room:
            break
        text += f"\n{line}" if line else ""
    return text + more + tail


def code_of(secret: Secret, destination_id: str, nonce: str) -> str:
    """The six digits that confirm a number: computed, so that no table holds them."""
    digest = hmac.digest(secret.reveal().encode(), f"sms code\0{destination_id}\0{nonce}".encode(), "sha256")
    return f"{int.from_bytes(digest[:8]) % 1_000_000:06}"


def filled_in(payload: Payload, secret: Secret) -> str:
    """The text of a payload, with its code where it has one."""
    code: Mapping[str, str] | None = payload.get("code")
    text = str(payload["text"])
    return text if code is None else text.replace(BLANK, code_of(secret, code["destination"], code["nonce"]))


def _line(text: str) -> str:
    return " ".join(to_gsm7(text).split())


def _refusal(status: int, code: object, said: str) -> DeliveryError:
    """What an error of Twilio's means for the message."""
    number = code if isinstance(code, int) else 0
    words = f"Twilio answered {status}{f' ({number})' if number and number != status else ''}: {_line(said)[:200]}"
    if number == STOPPED:
        return Gone(STOPPED_TEXT, suppress="stop")
    if number == _COUNTRY:
        logger.warning("%s. Allow the country in Twilio's geo permissions if it is to be sent to", words)
        return Refused("This site cannot send SMS to this country.")
    if number in _GONE:
        return Gone(_GONE[number])
    if number in _WAIT:
        return TryAgainLater(words, wait_s=_WAIT[number], whole_channel=True)
    if status in (401, 403) or number in _OPERATORS:
        logger.error("%s. Check the TWILIO settings and the balance; SMS waits", words)
        return TryAgainLater(words, wait_s=OPERATOR_WAIT_S, whole_channel=True)
    return Refused(words)
