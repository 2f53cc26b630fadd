"""Web push over loopback: what a browser can read of it, who we say we are, and what each answer means."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.delivery.message import Message
from flashcur.errors import DeliveryError, Gone, Refused, TryAgainLater, Unanswered
from flashcur.services.notify.channel import Outgoing
from flashcur.services.notify.dialling import Dialler
from flashcur.services.notify.vapid import LIFETIME_S, REUSED_S, Vapid, public_key
from flashcur.services.notify.web_push import MOST_BYTES, WebPushChannel
from flashcur.settings import Settings
from tests.support.programs import free_port
from tests.support.push_service import PushBrowser, PushService, claims_of
from tests.support.vendor import HTML, Reply, serving

NOW_MS = 1_800_000_000_000
BROWSER = PushBrowser()
ALERT = Message(
    kind="alert",
    title="BTC crossed 65,000",
    lines=("Price 65,010 (at or above 65,000)", "Exchange 12:00:01.234 GMT · seen +80 ms"),
    link="https://flashcur.example/alerts?alert=12",
    link_text="Open the alert",
    note="take <profit>",
)
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=2_000)


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    async with serving(PushService()) as server:
        yield server


@pytest.fixture
async def dialler() -> AsyncIterator[Dialler]:
    made = Dialler(allow_private=True)
    yield made
    await made.close()


def channel(settings: Settings, dialler: Dialler) -> WebPushChannel:
    return WebPushChannel(settings, dialler, timeout_s=1.0, clock=lambda: NOW_MS)


def outgoing(settings: Settings, url: str, message: Message = ALERT) -> Outgoing:
    payload = WebPushChannel(settings, Dialler()).render(message)
    return Outgoing(3, "k" * 64, f"{url}/push/abc", BROWSER.details(settings), payload, 1, NOW_MS + 90_500)


async def test_the_browser_reads_what_was_sent_and_nobody_else(
    settings: Settings, dialler: Dialler, service: PushService
) -> None:
    handed = await channel(settings, dialler).send(outgoing(settings, service.url))
    assert (handed.status, handed.provider_id) == ("accepted", f"{service.url}/message/1")
    (request,) = service.taken
    told = BROWSER.read(request.body)
    assert told.pop("tag").isalnum()
    assert told == {
        "title": "BTC crossed 65,000",
        "body": "Price 65,010 (at or above 65,000)\nExchange 12:00:01.234 GMT · seen +80 ms\ntake <profit>",
        "url": "/alerts?alert=12",
        "urgent": True,
    }
    assert b"BTC" not in request.body
    with pytest.raises(import_module("http_ece").ECEException):
        PushBrowser().read(request.body)
    # The service drops it when it would be of no use any more.
    assert request.headers["TTL"] == "90"
    assert request.headers["Urgency"] == "high"


async def test_each_attempt_takes_the_place_of_the_one_before(
    settings: Settings, dialler: Dialler, service: PushService
) -> None:
    """Complaint 4: the same words, the same topic at the service, the same tag in the browser."""
    sent = outgoing(settings, service.url)
    for attempt in (1, 2):
        await channel(settings, dialler).send(replace(sent, attempt=attempt))
    first, second = service.taken
    assert BROWSER.read(first.body) == BROWSER.read(second.body)
    assert first.headers["Topic"] == second.headers["Topic"]
    await channel(settings, dialler).send(replace(sent, key="another"))
    assert service.taken[2].headers["Topic"] != first.headers["Topic"]
    assert BROWSER.read(service.taken[2].body)["tag"] != BROWSER.read(first.body)["tag"]


async def test_we_say_who_we_are_to_each_service_by_itself(
    settings: Settings, dialler: Dialler, service: PushService
) -> None:
    await channel(settings, dialler).send(outgoing(settings, service.url))
    claims = claims_of(service.taken[0])
    assert claims == {
        "aud": service.url,
        "exp": NOW_MS // 1000 + LIFETIME_S,
        "sub": "mailto:flashcur@localhost.localdomain",
    }


def test_a_signed_word_is_reused_for_hours_and_never_until_it_ends(settings: Settings) -> None:
    assert settings.web_push.private_key is not None
    now_ms = NOW_MS
    vapid = Vapid(settings.web_push.private_key, "mailto:post@flashcur.example", lambda: now_ms)
    first = vapid.authorization("https://push.example/a")
    assert vapid.authorization("https://push.example/b") == first
    assert vapid.authorization("https://other.example/a") != first
    now_ms += (REUSED_S - 1) * 1000
    assert vapid.authorization("https://push.example/c") == first
    now_ms += 1000
    assert vapid.authorization("https://push.example/c") != first
    # A clock that was set back would make it valid for longer than services take.
    now_ms -= 2 * REUSED_S * 1000
    assert vapid.authorization("https://push.example/c") != first
    assert first.endswith(f"k={public_key(settings.web_push.private_key)}")
    for number in range(200):
        vapid.authorization(f"https://{number}.example/")
    assert len(vapid._kept) <= 64


def test_the_public_key_is_a_point_as_browsers_take_it(settings: Settings) -> None:
    assert settings.web_push.private_key is not None
    key = public_key(settings.web_push.private_key)
    assert len(key) == 87
    assert key.startswith("B")
    assert key == public_key(settings.web_push.private_key)


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Reply(404), Gone, "no longer subscribed"),
        (Reply(410, {}, b"push subscription has unsubscribed or expired."), Gone, "Turn web push on"),
        (Reply(413), Refused, "413"),
        (Reply(400, {}, b"<h1>Bad\nRequest\x1b</h1>"), Refused, "400"),
        (Reply(301, {"Location": "http://127.0.0.1/"}), Refused, "301"),
        (Reply(429, {"Retry-After": "120"}), TryAgainLater, "429"),
        (Reply(401), TryAgainLater, "401"),
        (Reply(403, {}, b'{"reason":"BadJwtToken"}'), TryAgainLater, "BadJwtToken"),
        (Reply(500), DeliveryError, "500"),
        (HTML, DeliveryError, "502"),
        (Reply(504), Unanswered, "504"),
        (Reply(fault="silent"), Unanswered, "did not answer"),
        (Reply(fault="hang up"), Unanswered, "did not answer"),
    ],
)
async def test_an_answer_says_what_becomes_of_the_message(
    settings: Settings, dialler: Dialler, service: PushService, reply: Reply, kind: type[DeliveryError], words: str
) -> None:
    """Complaint 25: 404 and 410 end a subscription; complaint 12: a 429 waits as told, for this browser alone."""
    service.script.append(reply)
    with pytest.raises(DeliveryError, match=words) as caught:
        await channel(settings, dialler).send(outgoing(settings, service.url))
    assert type(caught.value) is kind
    assert str(caught.value).isprintable()
    # The path of the address is as good as a password.
    assert "/push/" not in str(caught.value)
    if isinstance(caught.value, TryAgainLater):
        assert not caught.value.whole_channel
        assert caught.value.wait_s == (120 if reply.status == 429 else 300)


async def test_a_server_that_says_for_how_long_it_is_away_is_not_asked_earlier(
    settings: Settings, dialler: Dialler, service: PushService
) -> None:
    service.script += [Reply(503, {"Retry-After": "40"}), Reply(504, {"Retry-After": "40"}), Reply(503)]
    for kind, least_s in ((DeliveryError, 40), (Unanswered, 40), (DeliveryError, 0)):
        with pytest.raises(DeliveryError) as caught:
            await channel(settings, dialler).send(outgoing(settings, service.url))
        assert (type(caught.value), caught.value.retry_after) == (kind, least_s)


async def test_where_nobody_listens_nothing_was_sent(settings: Settings, dialler: Dialler) -> None:
    with pytest.raises(DeliveryError, match="could not be reached") as caught:
        await channel(settings, dialler).send(outgoing(settings, f"http://127.0.0.1:{free_port()}"))
    assert type(caught.value) is DeliveryError


@pytest.mark.parametrize("url", ["https://127.0.0.1", "https://[::1]", "https://10.0.0.1", "https://169.254.169.254",
                                 "https://[64:ff9b::7f00:1]", "http://push.example", "https://localhost"])  # fmt: skip
async def test_an_address_that_leads_into_our_network_is_not_called(settings: Settings, url: str) -> None:
    """Complaint 19: a push address is a stranger's word, too."""
    guarded = Dialler()
    with pytest.raises(Refused):
        await channel(settings, guarded).send(outgoing(settings, url))
    await guarded.close()


@pytest.mark.parametrize(
    "details",
    [{}, {"p256dh": "x", "auth": "y"}, {"p256dh": "B" * 87, "auth": ""}, {**BROWSER.keys, "auth": "é"},
     {"p256dh": BROWSER.keys["p256dh"][:-4], "auth": BROWSER.keys["auth"]}],
)  # fmt: skip
async def test_keys_that_are_none_are_refused_before_anything_is_sent(
    settings: Settings, dialler: Dialler, service: PushService, details: dict[str, str]
) -> None:
    with pytest.raises(Refused, match="keys of a subscribed browser"):
        await channel(settings, dialler).send(replace(outgoing(settings, service.url), details=details))
    assert service.requests == []


async def test_a_browser_that_knows_another_key_of_ours_is_told_so(
    settings: Settings, dialler: Dialler, service: PushService
) -> None:
    """Complaint 25: after the operator changed the key, no subscription is kept that can never work."""
    old = {**BROWSER.details(settings), "key": "B" + "x" * 86}
    with pytest.raises(Gone, match="out of date"):
        await channel(settings, dialler).send(replace(outgoing(settings, service.url), details=old))
    assert service.requests == []


async def test_what_is_not_configured_says_so(environ: dict[str, str], dialler: Dialler) -> None:
    key = "f3a9c1e07b5d2846a1b3c5d7e9f00f1e2d3c4b5a69788796a5b4c3d2e1f00112"
    more = {"FLASHCUR_ENV": "prod", "FLASHCUR_PUBLIC_URL": "https://flashcur.example", "FLASHCUR_SECRET_KEY": key}
    push = WebPushChannel(Settings.load({**environ, **more}), dialler)
    assert push.problem == "This site cannot send web push yet."
    message = Outgoing(1, "k", "https://push.example/a", {}, push.render(ALERT), 1, NOW_MS)
    with pytest.raises(TryAgainLater):
        await push.send(message)


@given(ANY_TEXT, st.lists(ANY_TEXT, max_size=5), ANY_TEXT, st.integers(0, 1_000_000))
def test_any_message_fits(title: str, lines: list[str], note: str, more: int) -> None:
    """Complaint 13, for push: any name or note arrives as text, in what a service takes."""
    made = WebPushChannel(PLAIN, Dialler())
    payload = made.render(replace(ALERT, title=title, lines=tuple(lines), note=note, more=more))
    shown = f"{payload['title']}{payload['body']}"
    shown.encode()
    assert not [c for c in shown if c < " " and c != "\n"]
    assert 1 <= len(payload["title"]) <= 120
    sent = Outgoing(1, "k" * 64, "https://push.example/a", BROWSER.keys, payload, 1, NOW_MS)
    body = import_module("flashcur.services.notify.web_push")._encrypted(sent, "t" * 32)
    assert len(body) <= 4096
    assert len(body) <= MOST_BYTES + 200
    assert BROWSER.read(body)["title"] == payload["title"]


PLAIN = Settings.load({"FLASHCUR_SECRET_KEY": "0123456789abcdef" * 4})
