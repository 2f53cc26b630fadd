"""Messages for channels: an ordinary one, and texts that want to be something else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from flashcur.domain.delivery.message import FiredRule, Message
from flashcur.services.notify.channel import Outgoing

ALERT = Message(
    kind="alert",
    title="BTCUSDT moved up 5.2 % within 15 min",
    lines=("Price 65,010 (at or above 65,000)", "Volume ratio 3.4 (at least 3)"),
    link="https://flashcur.example/alerts?alert=1&from=message",
    link_text="Open the alert",
    urgent=True,
    symbol="BTC/USDT:USDT",
    price=65_010.0,
    event_ms=1_795_000_000_123,
    seen_ms=1_795_000_000_203,
    stored_ms=1_795_000_000_298,
    note="take profit",
    rule=FiredRule("0" * 32, "Up", "Tell me when BTCUSDT rises by 5 % or more within 15 minutes, once."),
)

NASTY = (
    "<b>&amp;</b> & < > \" '",
    "<sol> <!channel> <!here> <@U012> <#C01> <https://evil.example|click>",
    "*bold* _it_ ~no~ `code` ```block``` ||spoiler|| > quote # head - list + list 1. one",
    "[text](https://evil.example) ![x](y) \\ \\* \\\\",
    "@everyone @here <@&123> <t:1> :smile:",
    "</b></a><a href='x'>",
    "😀👨‍👩‍👧‍👦👍🏽🇩🇪 e\u0301 \ufe0f",
    "שלום עולם مرحبا \u202eevil\u202c \u2066x\u2069",
    "\x00\x01\x07\x1b[31m\r\nSet-Cookie: x\t\u2028\u2029\x7f\x85",
    "\ud83d half \udc00",
    "&#0; &#x27; &bogus; &lt",
    "{{7*7}} ${x} %s %(a)s {0}",
    "-1. 2) +3",
    "10. ten",
    " ",
    "",
)


def outgoing(payload: Any, recipient: str, **more: Any) -> Outgoing:
    one = Outgoing(
        delivery_id=1,
        key="k" * 64,
        recipient=recipient,
        details={},
        payload=payload,
        attempt=1,
        expires_ms=ALERT.event_ms + 60_000,
    )
    return replace(one, **more)


_texts = st.text(max_size=400) | st.sampled_from(NASTY)

any_message = st.builds(
    Message,
    kind=st.sampled_from(("alert", "summary", "digest", "notice", "test")),
    title=_texts,
    lines=st.lists(_texts, max_size=60).map(tuple),
    link=st.sampled_from(("https://flashcur.example/alerts?alert=1&x=<y>", "http://localhost:3000/alerts", "")),
    link_text=st.sampled_from(("Open the alert", "See all", "")),
    urgent=st.booleans(),
    symbol=_texts,
    price=st.none() | st.floats(),
    event_ms=st.integers(0, 2_000_000_000_000),
    more=st.integers(0, 5_000),
    note=_texts,
    rule=st.none() | st.builds(FiredRule, st.just("0" * 32), _texts, _texts),
)
