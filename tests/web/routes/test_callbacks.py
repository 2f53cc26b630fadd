"""What providers say of messages, and how people stop them: proven, taken in once, and done by nobody else."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from flashcur.models import Account, Delivery, Destination, ProviderEvent, Suppression
from flashcur.services.kit.clock import now_ms
from flashcur.services.notify import destinations, outbox
from flashcur.services.notify.channel import Handed
from flashcur.services.notify.email import unsubscribe_token
from flashcur.services.notify.links import make_token
from flashcur.services.notify.sms import STOPPED_TEXT
from flashcur.settings import Settings
from tests.support.deliveries import delivery, ledger, put, stored, way
from tests.support.site import Browser, Site, running_site
from tests.support.twilio import ENVIRON, TOKEN

ANN = "ann@example.com"
NUMBER = "+447400123456"
PUBLIC = "https://flashcur.example"
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC_KEY = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()

CHANNELS = '<a href="http://localhost:3000/alerts?tab=channels">Channels</a>'


@pytest.fixture
async def site(environ: dict[str, str]) -> AsyncIterator[Site]:
    more = {**ENVIRON, "SENDGRID_WEBHOOK_PUBLIC_KEY": PUBLIC_KEY, "FLASHCUR_PUBLIC_URL": PUBLIC}
    async with running_site(Settings.load({**environ, **more})) as site:
        yield site


@pytest.fixture
def ann(site: Site) -> str:
    return site.account(ANN, plan="elite")


def sent(site: Site, account_id: str | None, channel: str = "email", recipient: str = ANN, **said: Any) -> int:
    """A message that its provider took."""
    moment = now_ms()
    (number,) = put(
        site.database,
        delivery(recipient, channel, account_id=account_id, now_ms=moment, **said),
        now_ms=moment,
    )
    with site.database.session() as session:
        (claimed,) = outbox.claim_due(session, moment, {channel: 1})
    with site.database.session() as session:
        handed = Handed(f"provider-{number}", "accepted")
        outbox.mark_handed(session, claimed.delivery.key, claimed.delivery.claim, handed, moment, moment)
    return number


def mail_place(site: Site, account_id: str) -> Destination | None:
    return next((each for each in site.rows(Destination) if each.account_id == account_id), None)


# --- SendGrid


def signature(body: bytes, timestamp: str) -> str:
    return base64.b64encode(KEY.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()


async def events(site: Site, *said: dict[str, Any], **wrong: str) -> httpx.Response:
    """Post events as SendGrid does."""
    body = orjson.dumps(list(said))
    timestamp = wrong.get("timestamp", str(now_ms() // 1000))
    headers = {
        "X-Twilio-Email-Event-Webhook-Signature": wrong.get("signature", signature(body, timestamp)),
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        "Content-Type": "application/json",
    }
    content = wrong["body"].encode() if "body" in wrong else body
    return await site.browser().client.post("/webhooks/sendgrid", content=content, headers=headers)


def event(site: Site, number: int, kind: str, event_id: str = "e1", **more: Any) -> dict[str, Any]:
    return {
        "event": kind,
        "sg_event_id": event_id,
        "sg_message_id": f"provider-{number}.recvd-1",
        "email": ANN,
        "delivery": stored(site.database, number).key,
        **more,
    }


async def test_what_sendgrid_says_is_in_the_ledger(site: Site, ann: str) -> None:
    number = sent(site, ann)
    assert (await events(site, event(site, number, "delivered", response="250 OK"))).status_code == 204
    assert way(site.database, number) == ["queued", "accepted", "delivered"]
    assert ledger(site.database, number)[-1][2] == "250 OK"
    assert stored(site.database, number).done_ms is not None


async def test_an_event_is_taken_in_once_and_late_ones_change_nothing(site: Site, ann: str) -> None:
    """Complaint 22: repeats change nothing, whatever their order."""
    number = sent(site, ann)
    bounce = event(site, number, "bounce", "e2", reason="550 no such user", type="bounce")
    for _ in range(2):
        await events(site, bounce, event(site, number, "delivered", "e1"), bounce)
    assert way(site.database, number) == ["queued", "accepted", "bounced"]
    assert {(each.source, each.event_id) for each in site.rows(ProviderEvent)} == {
        ("sendgrid", "e1"),
        ("sendgrid", "e2"),
    }


async def test_a_hard_bounce_stops_alert_mail_and_says_so(site: Site, ann: str) -> None:
    """Complaint 22: the address is suppressed, and its owner sees why in the app."""
    number = sent(site, ann)
    await events(site, event(site, number, "bounce", reason="550 5.1.1 no such user", type="bounce"))
    (row,) = site.rows(Suppression)
    assert (row.channel, row.reason, row.address_key) == ("email", "bounce", destinations.address_key("email", ANN))
    place = mail_place(site, ann)
    assert place is not None
    assert (place.channel, place.state) == ("email", "off")
    assert place.why.startswith("Email to your address bounced")


@pytest.mark.parametrize(
    ("more", "reason", "word"),
    [
        ({"event": "spamreport"}, "complaint", "reported as spam"),
        ({"event": "dropped", "reason": "Bounced Address"}, "bounce", "bounced"),
        ({"event": "dropped", "reason": "Spam Reporting Address"}, "complaint", "reported as spam"),
        ({"event": "dropped", "reason": "Unsubscribed Address"}, None, "You unsubscribed"),
        ({"event": "unsubscribe"}, None, "You unsubscribed"),
        ({"event": "group_unsubscribe"}, None, "You unsubscribed"),
        ({"event": "bounce", "type": "blocked", "reason": "421 mailbox full"}, None, None),
        ({"event": "dropped", "reason": "Recipient List over Package Quota"}, None, None),
        ({"event": "deferred", "response": "451 later"}, None, None),
        ({"event": "open"}, None, None),
    ],
)
async def test_what_follows_from_an_event(
    site: Site, ann: str, more: dict[str, str], reason: str | None, word: str | None
) -> None:
    """Complaint 22."""
    number = sent(site, ann)
    await events(site, event(site, number, "", **more))
    assert [row.reason for row in site.rows(Suppression)] == ([reason] if reason else [])
    place = mail_place(site, ann)
    assert (place is None) if word is None else (place is not None and word in place.why and place.state == "off")


async def test_account_mail_that_bounces_stops_alerts_to_that_address_alone(site: Site, ann: str) -> None:
    bob = site.account("bob@example.com", plan="elite")
    number = sent(site, None, kind="mail")
    await events(site, event(site, number, "bounce", reason="550", type="bounce"))
    assert mail_place(site, ann) is not None
    assert mail_place(site, bob) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"signature": ""},
        {"signature": "no base64!"},
        {"signature": "MEUCIQDs"},
        {"timestamp": "0"},
        {"timestamp": "soon"},
        {"timestamp": ""},
        {"timestamp": "9" * 30},
        {"body": "[]"},
        {"body": "\ufeff"},
    ],
    ids=str,
)
async def test_what_sendgrid_did_not_sign_is_refused(site: Site, ann: str, wrong: dict[str, str]) -> None:
    """Complaint 22: the signature is over the raw bytes, and no older than ten minutes."""
    number = sent(site, ann)
    answer = await events(site, event(site, number, "delivered"), **wrong)
    assert answer.status_code == 403
    assert way(site.database, number) == ["queued", "accepted"]
    assert site.rows(ProviderEvent) == []


@pytest.mark.parametrize("late_s", [-601, 601])
async def test_a_request_of_another_time_is_refused(site: Site, ann: str, late_s: int) -> None:
    """Complaint 22: whoever kept a copy of a request cannot send it again."""
    number = sent(site, ann)
    timestamp = str(now_ms() // 1000 + late_s)
    assert (await events(site, event(site, number, "delivered"), timestamp=timestamp)).status_code == 403


@pytest.mark.parametrize("body", [b"", b"{}", b"nonsense", b"[" * 10_000, b"\xff"])
async def test_a_signed_body_that_is_no_list_is_refused(site: Site, body: bytes) -> None:
    timestamp = str(now_ms() // 1000)
    headers = {
        "X-Twilio-Email-Event-Webhook-Signature": signature(body, timestamp),
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
    }
    answer = await site.browser().client.post("/webhooks/sendgrid", content=body, headers=headers)
    assert answer.status_code in (400, 403)


async def test_events_of_others_and_odd_ones_change_nothing(site: Site, ann: str) -> None:
    number = sent(site, ann)
    odd: list[dict[str, Any]] = [
        {},
        {"event": 5},
        {"event": "delivered"},
        {"event": "bounce", "sg_event_id": "x", "delivery": "of somebody else", "email": ANN},
        {"event": "bounce", "sg_event_id": "y", "email": ANN},
        {"event": "bounce", "sg_event_id": None, "delivery": stored(site.database, number).key},
    ]
    assert (await events(site, *odd)).status_code == 204
    assert site.rows(Suppression) == []
    assert way(site.database, number) == ["queued", "accepted"]


async def test_a_message_is_found_by_the_provider_s_name_too(site: Site, ann: str) -> None:
    number = sent(site, ann)
    told = event(site, number, "delivered")
    del told["delivery"]
    await events(site, told)
    assert way(site.database, number)[-1] == "delivered"


# --- unsubscribing


def link(site: Site, number: int) -> str:
    key = stored(site.database, number).key
    return f"/unsubscribe?t={unsubscribe_token(site.runtime.settings.secret_key, number, key)}"


async def test_a_scanner_s_look_stops_nothing(site: Site, ann: str) -> None:
    """Complaint 21: GET shows a page with a button and changes nothing."""
    number = sent(site, ann)
    for method in ("GET", "HEAD"):
        answer = await site.browser().client.request(method, link(site, number))
        assert answer.status_code == 200
    page = (await site.browser().get(link(site, number))).text
    assert f'<form method="post" action="{link(site, number)}"><button>Stop alert email' in page
    assert mail_place(site, ann) is None


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        (b"", "application/x-www-form-urlencoded"),
        (b"--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n",
         "multipart/form-data; boundary=x"),
    ],
)  # fmt: skip
async def test_one_click_stops_alert_mail_and_nothing_else(site: Site, ann: str, content: bytes, kind: str) -> None:
    """Complaint 21: the POST of RFC 8058 acts, without cookies or an origin; twice is the same."""
    number = sent(site, ann)
    for _ in range(2):
        client = site.browser(ip="203.0.113.9").client
        answer = await client.post(link(site, number), content=content, headers={"Content-Type": kind})
        assert answer.status_code == 200
        assert "Alert email is stopped" in answer.text
        assert f"switch email on under {CHANNELS}" in answer.text
    (place,) = site.rows(Destination)
    assert (place.account_id, place.channel, place.state) == (ann, "email", "off")
    assert place.why == "You unsubscribed with the link in a message."
    # Mail of the account itself looks at this table.
    assert site.rows(Suppression) == []


async def test_a_place_for_mail_that_is_there_is_switched_off(site: Site, ann: str) -> None:
    with site.database.session() as session:
        destinations.keep(session, ann, "email", "", now_ms(), confirmed=True)
    await site.browser().client.post(link(site, sent(site, ann)))
    (place,) = site.rows(Destination)
    assert place.state == "off"


async def test_a_link_stops_nobody_whose_message_has_the_id_of_one_that_was_deleted(site: Site, ann: str) -> None:
    """SQLite gives the id of a deleted account's message again."""
    bob = site.account("bob@example.com", plan="elite")
    number = sent(site, ann)
    of_ann = link(site, number)
    with site.database.session() as session:
        session.delete(session.get_one(Delivery, number))
    assert sent(site, bob, recipient="bob@example.com", id=number) == number
    late = await site.browser().client.post(of_ann)
    assert (late.status_code, "too old" in late.text) == (404, True)
    assert mail_place(site, bob) is None
    assert (await site.browser().client.post(link(site, number))).status_code == 200
    assert mail_place(site, bob) is not None


async def test_links_of_versions_that_named_the_id_alone_go_on_working(site: Site, ann: str) -> None:
    token = make_token(site.runtime.settings.secret_key, "unsubscribe", f"{sent(site, ann):032x}")
    assert (await site.browser().client.post(f"/unsubscribe?t={token}")).status_code == 200
    assert mail_place(site, ann) is not None


async def test_links_that_are_not_ours_or_too_old_say_what_else_helps(site: Site, ann: str) -> None:
    """Nothing can be found out by trying: what we did not make is all the same."""
    number = sent(site, ann)
    whole = link(site, number)
    answers = [
        await site.browser().client.request(method, path)
        for method in ("GET", "POST")
        for path in ("/unsubscribe", "/unsubscribe?t=" + "0" * 64, whole[:-1] + ("0" if whole[-1] != "0" else "1"))
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert CHANNELS in answers[0].text
    with site.database.session() as session:
        session.delete(session.get_one(Delivery, number))
    late = await site.browser().client.post(whole)
    assert (late.status_code, "too old" in late.text) == (404, True)
    assert site.rows(Destination) == []


async def test_after_the_account_is_deleted_the_link_stops_nothing_and_fails_nowhere(site: Site, ann: str) -> None:
    stop = link(site, sent(site, ann))
    with site.database.session() as session:
        session.delete(session.get_one(Account, ann))
    assert (await site.browser().client.post(stop)).status_code == 404


async def test_the_page_is_closed_to_scripts_frames_and_referrers(site: Site, ann: str) -> None:
    answer = await site.browser().get(link(site, sent(site, ann)))
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src")
    assert "script" not in answer.text
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Robots-Tag"] == "noindex"
    assert "'" not in answer.headers["Cache-Control"]


# --- Twilio

STATUS, INBOUND = "/webhooks/twilio/status", "/webhooks/twilio/inbound"


def signed(path: str, fields: dict[str, str], token: str = TOKEN) -> str:
    validator = import_module("twilio.request_validator").RequestValidator(token)
    return validator.compute_signature(f"{PUBLIC}{path}", fields)


async def twilio(browser: Browser, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
    named = {"X-Twilio-Signature": signed(path, fields), **headers}
    return await browser.client.post(path, data=fields, headers=named)


def number_of(site: Site, account_id: str, *, confirmed: bool = True) -> str:
    with site.database.session() as session:
        return destinations.keep(session, account_id, "sms", NUMBER, now_ms(), confirmed=confirmed).id


def place(site: Site, place_id: str) -> Destination:
    with site.database.session(readonly=True) as session:
        return session.get_one(Destination, place_id)


async def status(site: Site, number: int, word: str, code: str = "", **headers: str) -> httpx.Response:
    row = stored(site.database, number)
    fields = {"MessageSid": row.provider_id or "SM1", "MessageStatus": word, "To": NUMBER, "ErrorCode": code}
    return await twilio(site.browser(), f"{STATUS}?delivery={row.key}", fields, **headers)


async def test_what_twilio_says_is_in_the_ledger(site: Site, ann: str) -> None:
    number = sent(site, ann, "sms", NUMBER)
    for word in ("queued", "sending", "sent", "delivered", "delivered", "sent"):
        assert (await status(site, number, word)).status_code == 204
    assert way(site.database, number) == ["queued", "accepted", "delivered"]


async def test_a_status_may_come_before_its_message_is_noted(site: Site, ann: str) -> None:
    """The provider is faster than our database: found by the key, and kept."""
    moment = now_ms()
    (number,) = put(site.database, delivery(NUMBER, "sms", account_id=ann, now_ms=moment), now_ms=moment)
    with site.database.session() as session:
        (claimed,) = outbox.claim_due(session, moment, {"sms": 1})
    await status(site, number, "delivered")
    with site.database.session() as session:
        outbox.mark_handed(
            session, claimed.delivery.key, claimed.delivery.claim, Handed("SM1", "accepted"), moment, moment
        )
    assert stored(site.database, number).status == "delivered"


@pytest.mark.parametrize(
    ("code", "word", "off"),
    [
        ("30003", "out of reach", False),
        ("30005", "no longer exists", True),
        ("30006", "landline", True),
        ("30007", "spam filter", False),
        ("21610", "STOP", True),
        ("99999", "error 99999", False),
        ("", "Twilio: undelivered.", False),
        ("nonsense", "Twilio: undelivered.", False),
    ],
)
async def test_an_sms_that_did_not_arrive_says_why(site: Site, ann: str, code: str, word: str, off: bool) -> None:
    """Complaint 23: 21610 switches the number off until START."""
    place_id = number_of(site, ann)
    number = sent(site, ann, "sms", NUMBER, destination_id=place_id)
    await status(site, number, "undelivered", code)
    assert stored(site.database, number).status == "bounced"
    assert word in ledger(site.database, number)[-1][2]
    assert place(site, place_id).state == ("off" if off else "on")
    assert [row.reason for row in site.rows(Suppression)] == (["stop"] if code == "21610" else [])


async def test_stop_and_start_hold_for_a_number_wherever_it_is(site: Site, ann: str) -> None:
    """Complaint 23: STOP is obeyed, for every account, until START."""
    bob = site.account("bob@example.com", plan="elite")
    first, second = number_of(site, ann), number_of(site, bob, confirmed=False)
    other = site.browser()
    answer = await twilio(other, INBOUND, {"From": NUMBER, "Body": " Stop. ", "MessageSid": "SM1"})
    # Twilio itself answers to STOP.
    assert (answer.status_code, answer.text) == (200, "<Response></Response>")
    assert [(place(site, each).state, place(site, each).why) for each in (first, second)] == [
        ("off", STOPPED_TEXT),
        ("off", STOPPED_TEXT),
    ]
    assert [row.reason for row in site.rows(Suppression)] == ["stop"]
    await twilio(other, INBOUND, {"From": NUMBER, "Body": "START", "MessageSid": "SM2"})
    assert [place(site, each).state for each in (first, second)] == ["on", "unconfirmed"]
    assert site.rows(Suppression) == []
    # The same STOP again is old news.
    await twilio(other, INBOUND, {"From": NUMBER, "Body": "STOP", "MessageSid": "SM1"})
    assert place(site, first).state == "on"


async def test_start_does_not_undo_what_its_owner_switched_off(site: Site, ann: str) -> None:
    place_id = number_of(site, ann)
    with site.database.session() as session:
        destinations.switch_off(session, session.get_one(Destination, place_id), "You switched it off.")
    for number, word in enumerate(("STOP", "START")):
        await twilio(site.browser(), INBOUND, {"From": NUMBER, "Body": word, "MessageSid": f"SM{number}"})
    assert place(site, place_id).state == "off"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"Body": "help"}, "FlashCur market alerts"),
        ({"Body": "HELP", "OptOutType": "HELP"}, None),
        ({"Body": "arret", "OptOutType": "STOP"}, None),
        ({"Body": "stop it please"}, None),
        ({"Body": "<script>"}, None),
        ({}, None),
    ],
)
async def test_help_says_who_writes(site: Site, ann: str, fields: dict[str, str], words: str | None) -> None:
    place_id = number_of(site, ann)
    answer = await twilio(site.browser(), INBOUND, {"From": NUMBER, "MessageSid": "SM1", **fields})
    assert answer.headers["Content-Type"].startswith("text/xml")
    assert (words in answer.text) if words else answer.text == "<Response></Response>"
    assert "Reply STOP" in answer.text or words is None
    assert place(site, place_id).state == ("off" if fields.get("OptOutType") == "STOP" else "on")


async def test_the_signature_is_over_the_public_address(site: Site, ann: str) -> None:
    """Complaint 23: what proxies made of the request does not matter, and no header talks us into another address."""
    number = sent(site, ann, "sms", NUMBER)
    proxied = {"Host": "10.0.0.5:8000", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}
    assert (await status(site, number, "delivered", **proxied)).status_code == 204
    assert stored(site.database, number).status == "delivered"


async def test_what_twilio_did_not_sign_is_refused(site: Site, ann: str) -> None:
    """Complaint 23."""
    number = sent(site, ann, "sms", NUMBER)
    fields = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    path = f"{STATUS}?delivery={stored(site.database, number).key}"
    client = site.browser().client
    wrong = [
        {},
        {"X-Twilio-Signature": ""},
        {"X-Twilio-Signature": signed(path, fields, "another token")},
        {"X-Twilio-Signature": signed(path, {**fields, "MessageStatus": "failed"})},
        {"X-Twilio-Signature": signed(f"{STATUS}?delivery=another", fields)},
    ]
    for headers in wrong:
        assert (await client.post(path, data=fields, headers=headers)).status_code == 403
    stop = {"From": NUMBER, "Body": "STOP", "MessageSid": "SM1"}
    assert (await client.post(INBOUND, data=stop)).status_code == 403
    assert way(site.database, number) == ["queued", "accepted"]
    assert site.rows(Suppression) == []


async def test_what_is_not_configured_is_not_there(environ: dict[str, str]) -> None:
    async with running_site(Settings.load(environ)) as site:
        for path in ("/webhooks/sendgrid", STATUS, INBOUND):
            assert (await site.browser().client.post(path, data={"a": "b"})).status_code == 404
