"""What the hub tells of each frame, and to whom."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from flashcur.domain.plans import AUDIENCES
from flashcur.services.bus.topics import LIVE_TOPIC, mark_topic
from flashcur.web.market_hub import MarketHub, Update
from tests.support.frames import market_frame


class Heard:
    def __init__(self, hub: MarketHub) -> None:
        self.batches: list[dict[str, Update]] = []
        hub.listen(lambda updates: self.batches.append({update.audience: update for update in updates}))


def test_live_frame_moves_elite_only() -> None:
    hub = MarketHub()
    heard = Heard(hub)
    hub.receive(LIVE_TOPIC, market_frame(1).encode())
    assert set(heard.batches[0]) == set(AUDIENCES)
    assert heard.batches[0]["elite"].columns["price"].startswith("100.00|")
    for audience in ("guest", "free", "pro"):
        assert heard.batches[0][audience].columns == {}
        assert hub.table(audience) is None  # type: ignore[arg-type]


def test_only_changed_columns_are_told() -> None:
    hub = MarketHub()
    heard = Heard(hub)
    first = market_frame(1)
    hub.receive(LIVE_TOPIC, first.encode())
    hub.receive(LIVE_TOPIC, market_frame(2, price=101.0, previous=first).encode())
    assert set(heard.batches[1]["elite"].columns) == {"price", "oi", "move"}


def test_a_mark_is_cut_to_the_plan() -> None:
    hub = MarketHub()
    heard = Heard(hub)
    hub.receive(LIVE_TOPIC, market_frame(1).encode())
    hub.receive(mark_topic("free"), market_frame(1).encode())
    told = heard.batches[1]
    assert set(told) == {"guest", "free"}
    table = told["guest"].table
    assert table is not None
    assert table.count == 50
    assert not {"oi", "oi1h"} & set(told["guest"].columns)
    assert len(table.values("symbol")) == 50
    assert "COIN55USDT" not in table.columns["symbol"]
    assert not [name for name in table.exact if name.startswith(("oi", "open_interest"))]


def test_pro_has_every_row_and_open_interest() -> None:
    hub = MarketHub()
    hub.receive(LIVE_TOPIC, market_frame(1).encode())
    hub.receive(mark_topic("pro"), market_frame(1).encode())
    table = hub.table("pro")
    assert table is not None
    assert table.count == 60
    assert table.columns["oi"]


def test_a_payload_that_is_no_frame_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    hub = MarketHub()
    with caplog.at_level(logging.ERROR):
        hub.receive(LIVE_TOPIC, b'{"seq": 1}')
        hub.receive(LIVE_TOPIC, b"not json")
    assert hub.live is None
    assert len(caplog.records) == 2


def test_a_delisted_contract_leaves_the_marks_too() -> None:
    hub = MarketHub()
    heard = Heard(hub)
    whole = market_frame(1)
    hub.receive(LIVE_TOPIC, whole.encode())
    hub.receive(mark_topic("free"), whole.encode())
    hub.receive(LIVE_TOPIC, whole.without({"COIN3USDT"}).encode())
    table = hub.table("guest")
    assert table is not None
    assert "COIN3USDT" not in table.values("symbol")
    assert table.count == 49
    assert "symbol" in heard.batches[-1]["guest"].columns


def test_a_switch_of_exchange_leaves_the_last_mark_whole() -> None:
    hub = MarketHub()
    whole = market_frame(1)
    hub.receive(LIVE_TOPIC, whole.encode())
    hub.receive(mark_topic("free"), whole.encode())
    hub.receive(LIVE_TOPIC, replace(whole.without({"COIN3USDT"}), exchange="bybit", title="Bybit").encode())
    table = hub.table("guest")
    assert table is not None
    assert table.count == 50
