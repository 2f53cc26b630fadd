"""The engine against the simulated exchange, through the real ccxt client."""

from __future__ import annotations

import time
from pathlib import Path

from sqlmodel import Session, select

from flashcur.domain.frames import Frame
from flashcur.domain.rules.condition import PriceCross
from flashcur.engine.engine import Office
from flashcur.models import AlertRecord, Delivery, Destination, InstrumentEvent, JobRun, RuleRecord
from flashcur.services.notify import destinations
from flashcur.services.records.mark_frames import last_mark
from flashcur.services.simulator import SimulatedExchange
from flashcur.services.simulator.universe_data import TRADFI
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.rules import add_owner, add_rule, definition
from tests.support.running import Running, running_engine
from tests.support.waiting import eventually

BTC = "BTCUSDT"
NOW_MS = 1_795_435_200_000
FILLED = ("price", "change", "volume", "funding")


CONTRACTS = 20 + len(TRADFI)


def blanks(frame: Frame, *columns: str) -> list[tuple[str, str]]:
    """Empty cells of contracts on coins: of the others some rest at any hour, without a volume to compare."""
    symbols = frame.values("symbol")
    texts = {column: frame.values(column) for column in columns}
    return [(symbols[i], column) for column in columns for i in frame.of("crypto") if not texts[column][i]]


def price(frame: Frame, symbol: str = BTC) -> float | None:
    return frame.exact["price"][frame.values("symbol").index(symbol)]


def age_s(cell: str, letter: str) -> int:
    """The age in seconds that a cell of the age column says, 0 where it says none."""
    for part in cell.split(","):
        if part.startswith(letter):
            return int(part[1:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[part[-1]]
    return 0


async def test_frames_show_what_the_exchange_sent(running: Running, exchange: SimulatedExchange) -> None:
    frame = await running.frame_where(lambda f: not blanks(f, *FILLED, "ratio", "oi"), "every cell filled", 20)
    assert (frame.count, len(frame.of("crypto"))) == (CONTRACTS, 20)
    assert frame.state == "live"
    assert (frame.exchange, frame.demo) == ("binanceusdm", False)
    later = await running.next_frame()
    for at in later.of("crypto"):
        symbol = later.values("symbol")[at]
        sent = exchange.sent(symbol, 30, "ticker")
        row = running.row(symbol, later)
        shown = later.exact["price"][at]
        assert shown is not None
        assert shown in [float(s.price) for s in sent if s.price is not None], symbol
        assert float(row["price"]) == shown
        rates = [float(s.rate) for s in exchange.sent(symbol, 30, "mark") if s.rate is not None]
        assert later.exact["funding_rate"][at] in rates, symbol
        contracts = [float(s.contracts) for s in exchange.sent(symbol, 30, "oi") if s.contracts is not None]
        assert later.exact["open_interest_usd"][at] in [c * shown for c in contracts], symbol


async def test_a_price_reaches_the_frame_within_three_seconds(running: Running, exchange: SimulatedExchange) -> None:
    exchange.faults.set_price(BTC, 123456.7)
    frame = await running.frame_where(lambda f: price(f) == 123456.7, "the price", 3)
    assert running.row(BTC, frame)["price"] == "123456.7"


async def test_there_is_one_frame_for_each_second(running: Running) -> None:
    first = len(running.frames)
    await eventually(lambda: len(running.frames) >= first + 4, "four more frames", 8)
    seqs = [frame.seq for frame in running.frames]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    assert all(frame.seq == frame.as_of_ms // 1000 for frame in running.frames)
    # Taken at the full second: a late one is late by scheduling, not by drift.
    assert sorted(frame.as_of_ms % 1000 for frame in running.frames)[len(seqs) // 2] < 100


async def test_rows_keep_their_place_and_a_new_contract_joins_at_the_end(
    running: Running, exchange: SimulatedExchange
) -> None:
    before = running.last
    volumes = before.exact["volume_quote"]
    first = running.frames[0].exact["volume_quote"]
    # Crypto, and then the rest.
    for half in (first[:20], first[20:]):
        assert half == sorted(half, key=lambda volume: -(volume or 0))
    assert len(volumes) == CONTRACTS
    spec = exchange.faults.list_new()
    await running.office.jobs.run("instruments")
    frame = await running.frame_where(lambda f: f.count == CONTRACTS + 1, "the new contract")
    if frame.as_of_ms // 3_600_000 == before.as_of_ms // 3_600_000:
        assert frame.values("symbol")[:CONTRACTS] == before.values("symbol")
        assert frame.values("symbol")[CONTRACTS] == f"{spec.base}USDT"


async def test_listing_and_delisting_need_no_restart_and_are_recorded(
    running: Running, exchange: SimulatedExchange, sqlite_database: Database
) -> None:
    spec = exchange.faults.list_new()
    new = f"{spec.base}USDT"
    exchange.faults.delist(BTC)
    await running.office.jobs.run("instruments")
    frame = await running.frame_where(lambda f: new in f.values("symbol"), "the new contract")
    assert BTC not in frame.values("symbol")
    await running.frame_where(lambda f: not [b for b in blanks(f, *FILLED, "oi") if b[0] == new], "its values", 15)

    def recorded() -> dict[str, str]:
        with sqlite_database.session(readonly=True) as session:
            return {event.symbol: event.kind for event in session.exec(select(InstrumentEvent))}

    await eventually(lambda: recorded() == {new: "listed", BTC: "delisted"}, "both events in the database")


async def test_a_contract_that_the_preferred_exchange_delists_pauses_its_rules(
    live_environ: dict[str, str], exchange: SimulatedExchange, sqlite_database: Database
) -> None:
    """The preferred one is the first of several."""
    nowhere = {
        f"FLASHCUR_BYBIT_{each}_URL": f"{scheme}://127.0.0.1:9" for each, scheme in (("REST", "http"), ("WS", "ws"))
    }
    settings = Settings.load({**live_environ, **nowhere, "FLASHCUR_EXCHANGES": "binanceusdm,bybit"})
    with sqlite_database.session() as session:
        rule_id = add_rule(
            session, add_owner(session, NOW_MS), definition(PriceCross("above", 1e9), scope=BTC), NOW_MS
        ).id

    def why() -> str:
        with sqlite_database.session(readonly=True) as session:
            return session.get_one(RuleRecord, rule_id).why

    async with running_engine(settings, sqlite_database) as running:
        await running.frame_where(lambda f: BTC in f.values("symbol"), "a first frame", 20)
        await eventually(lambda: rule_id in running.office.evaluation.rules, "that rules are evaluated", 20)
        await eventually(lambda: running.office.detection.runner is not None, "that detectors run", 20)
        exchange.faults.delist(BTC)
        await running.office.jobs.run("instruments")
        await eventually(lambda: why() == "delisted", "the pause", 20)


async def test_a_silent_ticker_stream_is_replaced_by_rest(running: Running, exchange: SimulatedExchange) -> None:
    exchange.faults.silence("ticker")
    exchange.faults.set_price(BTC, 99999.9)
    frame = await running.frame_where(lambda f: price(f) == 99999.9, "the price by REST", 12)
    assert not blanks(frame, *FILLED)
    report = next(report for report in running.office.jobs.reports if report.name == "refresh prices")
    assert report.ok


async def test_values_grow_old_honestly_while_nothing_answers(running: Running, exchange: SimulatedExchange) -> None:
    await running.frame_where(lambda f: not blanks(f, *FILLED, "ratio", "oi"), "every cell filled", 20)
    for kind in ("ticker", "mark", "kline"):
        exchange.faults.silence(kind)
    exchange.faults.server_error()
    frame = await running.frame_where(lambda f: f.state == "delayed", "a delayed feed", 12)
    assert not blanks(frame, *FILLED, "ratio", "oi")
    await running.frame_where(lambda f: age_s(running.row(BTC, f)["age"], "p") >= 7, "the price's age", 12)
    exchange.faults.clear()
    healed = await running.frame_where(lambda f: f.state == "live" and not any(f.values("age")), "all fresh again", 15)
    assert not blanks(healed, *FILLED, "ratio", "oi")


async def test_no_cell_goes_blank_across_a_disconnect(running: Running, exchange: SimulatedExchange) -> None:
    await running.frame_where(lambda f: not blanks(f, *FILLED, "ratio", "oi"), "every cell filled", 20)
    start = len(running.frames)
    exchange.faults.disconnect_all()
    exchange.faults.set_price(BTC, 77777.7)
    await running.frame_where(lambda f: price(f) == 77777.7, "the right price", 5)
    assert not [b for frame in running.frames[start:] for b in blanks(frame, *FILLED, "ratio", "oi")]


async def test_a_refused_value_is_never_shown(running: Running, exchange: SimulatedExchange) -> None:
    start = len(running.frames)
    for variety in ("nan", "negative", "blank", "absurd"):
        before = running.office.market.rejects
        exchange.faults.garbage(BTC, variety, "ticker", 1)
        await eventually(lambda before=before: running.office.market.rejects > before, f"a reject of {variety}", 10)
    await running.next_frame()
    btc = [running.row(BTC, frame)["price"] for frame in running.frames[start:]]
    sent = {s.price for s in exchange.sent(BTC, 30, "ticker")}
    assert all(price and 0 < float(price) < 1e7 for price in btc), (btc, sent)


async def test_a_volume_spike_is_flagged_with_its_ratio(running: Running, exchange: SimulatedExchange) -> None:
    await running.frame_where(lambda f: bool(running.row(BTC, f)["ratio"]), "a ratio", 20)
    exchange.faults.volume_spike(BTC, ratio=6.0, over_s=1.0)
    frame = await running.frame_where(lambda f: running.row(BTC, f)["spike"] == "1", "the spike", 10)
    assert float(running.row(BTC, frame)["ratio"]) >= 3


async def test_another_exchange_never_mixes_with_the_former(
    environ: dict[str, str], sqlite_database: Database, exchange: SimulatedExchange, live_environ: dict[str, str]
) -> None:
    demo = SimulatedExchange(symbols=20, seed=2, listings=False)
    exchange.faults.set_price(BTC, 50_000.0)
    demo.faults.set_price(BTC, 70_000.0)
    settings = Settings.load({**live_environ, "FLASHCUR_DEMO": "auto"})
    async with running_engine(settings, sqlite_database, simulator=demo) as running:
        full = await running.frame_where(
            lambda f: price(f) == 50_000 and not blanks(f, *FILLED, "ratio", "oi"), "every cell filled", 20
        )
        assert not full.demo
        start = len(running.frames)
        exchange.faults.refuse(451)
        exchange.faults.disconnect_all()
        first = await running.frame_where(lambda f: f.demo, "demo data", 20)
        assert first.values("move") == ["-"] * CONTRACTS
        await running.frame_where(lambda f: price(f) == 70_000, "the price of the simulated exchange")
        for frame in running.frames[start:]:
            assert (price(frame) == 50_000) is not frame.demo
            assert not blanks(frame, *FILLED)


async def test_jobs_report_their_last_run(running: Running, sqlite_database: Database) -> None:
    await running.office.jobs.run("instruments")

    def recorded() -> dict[str, bool | None]:
        with sqlite_database.session(readonly=True) as session:
            return {run.name: run.ok for run in session.exec(select(JobRun))}

    await eventually(lambda: recorded().get("instruments") is True, "the run in the database")
    status = running.office.status()
    assert status.jobs["instruments"].ok
    assert status.jobs["instruments"].detail == f"{CONTRACTS} contracts"
    assert set(status.jobs) == {
        "mark free",
        "mark pro",
        "refresh prices",
        "gather",
        "deliveries",
        "rules",
        "rule windows",
        "instruments",
        "streamed candles",
        "candles",
        "open interest",
        "open interest history",
        "history",
        "outcomes",
        "statistics",
        "prune",
        "end plans",
        "prune accounts",
        "push subscriptions",
    }


def ended(office: Office) -> bool:
    return any(each.name == "push subscriptions" and each.runs and not each.running for each in office.jobs.reports)


async def test_the_engine_switches_off_a_browser_whose_subscription_is_over(
    live_settings: Settings, sqlite_database: Database
) -> None:
    with sqlite_database.session() as session:
        owner = add_owner(session, NOW_MS)
        details = {"expires_ms": str(NOW_MS)}
        destinations.keep(session, owner, "web-push", "https://push.example/a", NOW_MS, details=details, confirmed=True)
    async with running_engine(live_settings, sqlite_database) as running:
        # It runs once when the engine begins.
        await eventually(lambda: running.engine.office is not None and ended(running.office), "the job's first run")
        assert running.office.status().jobs["push subscriptions"].detail == "0 told, 1 switched off"
    with sqlite_database.session(readonly=True) as session:
        assert session.exec(select(Destination.state)).one() == "off"
        notice = session.exec(select(AlertRecord)).one()
        assert (notice.account_id, notice.title) == (owner, "Web push was switched off")
        assert session.exec(select(Delivery.alert_id).where(Delivery.channel == "in-app")).one() == notice.id


async def test_a_database_that_is_away_does_not_stop_frames(live_settings: Settings, tmp_path: Path) -> None:
    settings = Settings.load(
        {
            "FLASHCUR_DATA_DIR": str(tmp_path),
            "DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:1/none",
            "FLASHCUR_EXCHANGES": "binanceusdm",
            "FLASHCUR_DEMO": "off",
            "FLASHCUR_BINANCEUSDM_REST_URL": str(live_settings.venue_urls["binanceusdm"].rest),
            "FLASHCUR_BINANCEUSDM_WS_URL": str(live_settings.venue_urls["binanceusdm"].ws),
        }
    )
    database = Database(settings)
    async with running_engine(settings, database) as running:
        await eventually(lambda: len(running.frames) >= 2, "frames", 20)
        assert running.office.marks.mark("pro") is not None
        assert not running.office.writer.idle
    database.close()


async def test_the_mark_in_the_database_is_what_was_published(live_settings: Settings, database: Database) -> None:
    async with running_engine(live_settings, database) as running:
        await eventually(lambda: running.hub.table("pro") is not None, "a Pro mark", 20)
        mark = running.hub.table("pro")
        await eventually(lambda: _stored(database, "pro") is not None, "the mark in the database")
        assert _stored(database, "pro") == mark
        assert mark is not None
    # The next engine of the same five minutes shows the same mark.
    async with running_engine(live_settings, database) as running:
        await eventually(lambda: running.hub.table("pro") is not None, "a Pro mark", 20)
        again = running.hub.table("pro")
        assert again is not None
        if again.as_of_ms // 300_000 == mark.as_of_ms // 300_000:
            assert again == mark


def _stored(database: Database, audience: str) -> Frame | None:
    def read(session: Session) -> Frame | None:
        row = last_mark(session, audience)
        return None if row is None else Frame.decode(row.payload)

    with database.session(readonly=True) as session:
        return read(session)


async def test_an_engine_stops_within_five_seconds(live_settings: Settings, sqlite_database: Database) -> None:
    async with running_engine(live_settings, sqlite_database) as running:
        await eventually(lambda: bool(running.frames), "a first frame", 20)
        office: Office = running.office
        assert office.framer.frames >= 1
        started_s = time.monotonic()
    assert time.monotonic() - started_s < 5
