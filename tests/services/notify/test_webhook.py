"""Webhooks against servers that check them as docs/webhooks.md tells them to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from standardwebhooks import Webhook, WebhookVerificationError

from flashcur.domain.delivery.message import Message
from flashcur.domain.delivery.text_fit import one_line
from flashcur.errors import DeliveryError, Gone, Refusal, Refused, TryAgainLater, Unanswered
from flashcur.models import Destination
from flashcur.services.kit.clock import now_ms
from flashcur.services.notify.channel import Outgoing
from flashcur.services.notify.dialling import Dialler
from flashcur.services.notify.webhook import WebhookChannel, masked, new_details, parse_url, rotated, secret_of
from flashcur.settings import Secret, Settings
from tests.support.messages import ALERT, NASTY, any_message, outgoing
from tests.support.vendor import HTML, Reply, Vendor, serving

HOUR_MS = 3_600_000


class Clock:
    def __init__(self) -> None:
        self.ms = now_ms()

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def server() -> AsyncIterator[Vendor]:
    async with serving(Vendor()) as vendor:
        yield vendor


@pytest.fixture
async def channel(settings: Settings, clock: Clock) -> AsyncIterator[WebhookChannel]:
    dialler = Dialler(allow_private=True, timeout_s=0.4)
    yield WebhookChannel(settings, dialler, clock)
    await dialler.close()


def destination(details: Mapping[str, Any]) -> Destination:
    return Destination(account_id="a", channel="webhook", address_key="", details=dict(details), created_ms=0)


def alert_to(server: Vendor, channel: WebhookChannel, details: Mapping[str, Any], **more: Any) -> Outgoing:
    return outgoing(channel.render(ALERT), f"{server.url}/hook?token=s3cret", details=details, **more)


def verified(server: Vendor, secret: str, number: int = -1) -> Any:
    request = server.requests[number]
    return Webhook(secret).verify(request.body, dict(request.headers))


async def test_a_message_arrives_signed(server: Vendor, channel: WebhookChannel, settings: Settings) -> None:
    details = new_details()
    handed = await channel.send(alert_to(server, channel, details))
    assert handed.status == "delivered"
    body = verified(server, secret_of(destination(details), settings.secret_key))
    assert body["type"] == "alert.fired"
    assert body["timestamp"] == "2026-11-18T11:06:40.123+00:00"
    assert body["data"] == {
        "title": ALERT.title,
        "lines": list(ALERT.lines),
        "more": 0,
        "note": "take profit",
        "rule": {
            "id": "0" * 32,
            "name": "Up",
            "sentence": "Tell me when BTCUSDT rises by 5 % or more within 15 minutes, once.",
        },
        "urgent": True,
        "symbol": "BTC/USDT:USDT",
        "price": 65_010.0,
        "event_ms": ALERT.event_ms,
        "seen_ms": ALERT.seen_ms,
        "stored_ms": ALERT.stored_ms,
        "link": ALERT.link,
    }
    request = server.requests[0]
    assert request.path == "/hook?token=s3cret"
    assert request.headers["webhook-id"] == "k" * 64


async def test_each_attempt_has_the_same_key_and_body_and_its_own_time(
    server: Vendor, channel: WebhookChannel, settings: Settings, clock: Clock
) -> None:
    details = new_details()
    secret = secret_of(destination(details), settings.secret_key)
    server.script.append(Reply(500))
    with pytest.raises(DeliveryError):
        await channel.send(alert_to(server, channel, details))
    clock.ms += 30_000
    await channel.send(alert_to(server, channel, details, attempt=2))
    first, second = server.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 30
    assert verified(server, secret, 0) == verified(server, secret, 1)


async def test_for_a_day_after_a_rotation_both_secrets_sign(
    server: Vendor, channel: WebhookChannel, settings: Settings, clock: Clock
) -> None:
    old = new_details()
    new = rotated(old, clock.ms)
    old_secret, new_secret = (secret_of(destination(each), settings.secret_key) for each in (old, new))
    assert old_secret != new_secret
    await channel.send(alert_to(server, channel, new))
    assert verified(server, old_secret) == verified(server, new_secret)
    # The receiver's clock is the real one: only ours goes on, and the time of rotation goes back instead.
    await channel.send(alert_to(server, channel, rotated(old, clock.ms - 24 * HOUR_MS)))
    assert verified(server, new_secret)
    with pytest.raises(WebhookVerificationError):
        verified(server, old_secret)


def test_the_secret_is_long_enough_and_each_webhooks_own(settings: Settings) -> None:
    first, second = destination(new_details()), destination(new_details())
    secrets = {secret_of(first, settings.secret_key), secret_of(second, settings.secret_key)}
    secrets.add(secret_of(first, Secret("another key" * 5)))
    assert len(secrets) == 3
    assert all(secret.startswith("whsec_") and len(secret) == 50 for secret in secrets)
    assert secret_of(first, settings.secret_key) == secret_of(first, settings.secret_key)
    assert secret_of(first, settings.secret_key).removeprefix("whsec_") not in json.dumps(first.details)


async def test_the_signature_is_the_documented_one(
    server: Vendor, channel: WebhookChannel, settings: Settings, clock: Clock
) -> None:
    """The code of docs/webhooks.md, which needs no library, takes what we send."""
    details = new_details()
    await channel.send(alert_to(server, channel, details))
    request = server.requests[0]
    scope: dict[str, Any] = {}
    exec(documented_code(), scope)
    secret = secret_of(destination(details), settings.secret_key)
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert scope["verified"](request.body, headers, secret)["type"] == "alert.fired"
    for wrong in (
        (request.body + b" ", headers),
        (request.body, {**headers, "webhook-id": "other"}),
        (request.body, {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 600)}),
    ):
        with pytest.raises(ValueError, match=r"\w"):
            scope["verified"](*wrong, secret)


def documented_code() -> str:
    from pathlib import Path

    text = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()
    return text.partition("```python\n")[2].partition("```")[0]


@pytest.mark.parametrize("text", NASTY)
async def test_any_text_arrives(server: Vendor, channel: WebhookChannel, settings: Settings, text: str) -> None:
    details = new_details()
    message = replace(ALERT, title=f"t{text}", lines=(text,), note=text)
    await channel.send(outgoing(channel.render(message), server.url, details=details))
    data = verified(server, secret_of(destination(details), settings.secret_key))["data"]
    assert (data["title"], data["lines"], data["note"]) == (one_line(f"t{text}"), [one_line(text)], one_line(text))


@given(any_message)
def test_whatever_is_written_is_small_enough(message: Message) -> None:
    body = WebhookChannel.render(object.__new__(WebhookChannel), message)["body"]
    assert len(body.encode()) <= 20_000
    assert json.loads(body)["data"]["more"] >= message.more


def test_a_long_digest_is_cut(channel: WebhookChannel) -> None:
    body = channel.render(replace(ALERT, kind="digest", lines=("😀" * 50,) * 1_000))["body"]
    data = json.loads(body)["data"]
    assert 15_000 < len(body.encode()) <= 20_000
    assert len(data["lines"]) + data["more"] == 1_000


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_means_that_it_was_taken(server: Vendor, channel: WebhookChannel, status: int) -> None:
    server.script.append(Reply(status, body=b"" if status == 204 else b"<html>thanks</html>"))
    assert (await channel.send(alert_to(server, channel, new_details()))).status == "delivered"


async def test_a_2xx_whose_body_does_not_end_was_taken(server: Vendor, channel: WebhookChannel) -> None:
    server.script.append(Reply(200, body=b"o", fault="stall"))
    assert (await channel.send(alert_to(server, channel, new_details()))).status == "delivered"


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (Reply(410), Gone, "wants no more"),
        (Reply(301, {"Location": "http://169.254.169.254/"}), DeliveryError, "redirects are not followed"),
        (Reply(308, {"Location": "/elsewhere"}), DeliveryError, "redirects are not followed"),
        (Reply(400, body=b'{"error": "bad <b>signature</b>"}'), DeliveryError, "answered 400: bad"),
        (Reply(401), DeliveryError, "answered 401"),
        (Reply(404, body=b"<html><title>404</title>nothing here</html>"), DeliveryError, "404 nothing here"),
        (Reply(500), DeliveryError, "answered 500"),
        (HTML, DeliveryError, "502 Bad Gateway"),
        (Reply(503), DeliveryError, "answered 503"),
        (Reply(504), Unanswered, "answered 504"),
        (Reply(fault="silent"), Unanswered, "did not answer"),
        (Reply(fault="hang up"), Unanswered, "closed the connection"),
    ],
)
async def test_anything_else_is_no_success(
    server: Vendor, channel: WebhookChannel, reply: Reply, error: type[DeliveryError], words: str
) -> None:
    """Complaint 19: a redirect is a failure."""
    server.script.append(reply)
    with pytest.raises(DeliveryError, match=words) as told:
        await channel.send(alert_to(server, channel, new_details()))
    assert type(told.value) is error
    assert "s3cret" not in str(told.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("reply", "wait_s"),
    [
        (Reply(429), 10),
        (Reply(429, {"Retry-After": "120"}), 120),
        (Reply(503, {"Retry-After": "60"}), 60),
        (Reply(429, {"Retry-After": "inf"}), 10),
        (Reply(429, {"Retry-After": "99999999999"}), 3_600),
    ],
)
async def test_who_asks_for_time_gets_it(server: Vendor, channel: WebhookChannel, reply: Reply, wait_s: float) -> None:
    """Complaint 12."""
    server.script.append(reply)
    with pytest.raises(TryAgainLater) as told:
        await channel.send(alert_to(server, channel, new_details()))
    assert (told.value.wait_s, told.value.whole_channel) == (wait_s, False)


async def test_a_server_that_says_for_how_long_it_is_away_is_not_asked_earlier(
    server: Vendor, channel: WebhookChannel
) -> None:
    server.script += [Reply(502, {"Retry-After": "40"}), Reply(502)]
    for least_s in (40, 0):
        with pytest.raises(DeliveryError) as told:
            await channel.send(alert_to(server, channel, new_details()))
        assert (type(told.value), told.value.retry_after) == (DeliveryError, least_s)


async def test_a_date_to_wait_for_counts_from_now(server: Vendor, channel: WebhookChannel, clock: Clock) -> None:
    at = datetime.fromtimestamp(clock.ms // 1000 + 90, UTC)
    server.script.append(Reply(429, {"Retry-After": at.strftime("%a, %d %b %Y %H:%M:%S GMT")}))
    with pytest.raises(TryAgainLater) as told:
        await channel.send(alert_to(server, channel, new_details()))
    assert told.value.wait_s == pytest.approx(90, abs=1)


async def test_a_server_inside_is_never_called(server: Vendor, settings: Settings) -> None:
    """Complaint 19: also where its address came into the database by another way."""
    dialler = Dialler()
    channel = WebhookChannel(settings, dialler)
    with pytest.raises(Refused, match="expected"):
        await channel.send(alert_to(server, channel, new_details()))
    assert not server.connections


async def test_one_that_was_removed_meanwhile_is_refused(server: Vendor, channel: WebhookChannel) -> None:
    with pytest.raises(Refused):
        await channel.send(alert_to(server, channel, {}))
    assert not server.requests


def test_an_address_is_read_and_shown_without_what_may_be_secret() -> None:
    assert parse_url(" https://Example.com/a?key=s ") == "https://example.com/a?key=s"
    assert masked("https://example.com:8443/a?key=s") == "example.com:8443"
    assert parse_url("http://127.0.0.1:9000/", private=True) == "http://127.0.0.1:9000/"


def test_a_wrong_address_is_refused_beside_the_field() -> None:
    for text, said in (
        ("https://localhost/", "Enter the address of a server on the public internet."),
        ("example.com/hook", "Enter an address that begins with https://."),
        ("https://example.com:22/", "Enter an address with port 443 or 8443."),
        ("https://example.com/" + "x" * 3_000, "Enter an address of at most 2,000 characters."),
        ("https://a:b@example.com/", "Enter an address without a user name and password in it."),
    ):
        with pytest.raises(Refusal) as told:
            parse_url(text)
        assert (str(told.value), told.value.field) == (said, "url")
