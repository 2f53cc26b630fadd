"""How complete signals are: days in the database, of both kinds, and the line that sums them up."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

import pytest

from flashcur.domain.signals.silence import DAY_MS, Day, SilenceLedger
from flashcur.services.alerts import silence
from flashcur.services.alerts.silence import Completeness, Gap
from flashcur.services.storage.database import Database

DAY = 20_779 * DAY_MS
"""22 November 2026."""
MINUTE_MS = 60_000


def save(
    database: Database, *days: Day, until_ms: int = DAY + DAY_MS, exchange: str = "bybit", demo: bool = False
) -> None:
    with database.session() as session:
        silence.save_days(session, exchange, days, demo=demo, until_ms=until_ms)


def read(
    database: Database,
    first_ms: int = DAY,
    end_ms: int = DAY + DAY_MS,
    *,
    demo: bool = False,
    now_ms: int | None = None,
    coins: Collection[str] | None = None,
) -> Completeness:
    with database.session(readonly=True) as session:
        return silence.completeness(
            session, "bybit", demo=demo, first_ms=first_ms, end_ms=end_ms, now_ms=now_ms, coins=coins
        )


def test_days_are_summed_over_contracts_and_whole_days(database: Database) -> None:
    save(
        database,
        Day("BTCUSDT", DAY - DAY_MS, seen=DAY_MS),
        Day("BTCUSDT", DAY, seen=DAY_MS - 3, stale=1, switch=2),
        Day("ETHUSDT", DAY, seen=10, no_baseline=20, engine_away=30),
        Day("ETHUSDT", DAY + DAY_MS, stale=7),
    )
    save(database, Day("BTCUSDT", DAY, stale=999), exchange="binanceusdm")
    save(database, Day("BTCUSDT", DAY, stale=5), demo=True)
    told = read(database, DAY + 5, DAY + 6)
    assert (told.first_ms, told.contracts, told.seen_ms, told.blind_ms) == (DAY, 2, DAY_MS + 7, 53)
    assert (told.stale_ms, told.switch_ms, told.no_baseline_ms, told.engine_away_ms) == (1, 2, 20, 30)
    assert read(database, DAY, DAY + DAY_MS + 1).stale_ms == 8
    assert read(database, 0).first_ms == DAY - DAY_MS
    assert read(database, demo=True).stale_ms == 5


def test_a_day_is_written_over_and_a_ledger_goes_on_where_it_was_saved(database: Database) -> None:
    ledger = SilenceLedger()
    ledger.begin(["BTCUSDT", "ETHUSDT"], DAY, cause=None)
    ledger.blind(DAY + 1_000, "switch")
    save(database, *ledger.days(), until_ms=DAY + 1_000)
    ledger.leave(["ETHUSDT"], DAY + 1_000)
    ledger.blind(DAY + 3_000, "switch")
    save(database, *[day for day in ledger.days() if day.symbol == "BTCUSDT"], until_ms=DAY + 3_000)
    with database.session(readonly=True) as session:
        days, until_ms = silence.load_days(session, "bybit", demo=False)
        assert silence.load_days(session, "binanceusdm", demo=False) == ([], 0)
        assert silence.ledgers(session) == [("bybit", False)]
    assert (days, until_ms) == ([Day("BTCUSDT", DAY, switch=3_000)], DAY + 3_000)
    again = SilenceLedger()
    again.restore(days, until_ms, DAY + 63_000)
    assert again.days() == [Day("BTCUSDT", DAY, switch=3_000, engine_away=60_000)]


def test_old_days_and_those_of_demo_data_are_deleted(database: Database) -> None:
    save(database, Day("BTCUSDT", DAY - DAY_MS, seen=1), Day("BTCUSDT", DAY, seen=2))
    save(database, Day("BTCUSDT", DAY, seen=4), demo=True)
    with database.session() as session:
        assert silence.prune_days(session, DAY + 5) == 1
        assert silence.purge_demo_days(session) == 1
    assert read(database, 0).seen_ms == 2
    assert read(database, demo=True).share is None
    assert timedelta(days=90) == silence.KEPT


HOUR_MS = 3_600_000
CONTRACTS = [f"{number}{name}" for number in ("", "1000") for name in ("BTCUSDT", "ETHUSDT")] + [
    f"C{number}USDT" for number in range(36)
]
"""40, of which two are on the same coin as another one."""
TODAY = DAY + 5 * DAY_MS
NOW = TODAY + 12 * HOUR_MS
"""27 November, noon."""


def days(gaps: Mapping[tuple[str, int], Mapping[str, int]], symbols: Collection[str] = CONTRACTS) -> list[Day]:
    """All days from 22 to 27 November, with gaps by (symbol, day of November)."""
    made: list[Day] = []
    for symbol in symbols:
        for number in range(22, 28):
            day_ms = DAY + (number - 22) * DAY_MS
            gap = gaps.get((symbol, number), {})
            made.append(Day(symbol, day_ms, seen=min(DAY_MS, NOW - day_ms) - sum(gap.values()), **gap))
    return made


def everywhere(number: int, **gap: int) -> dict[tuple[str, int], dict[str, int]]:
    """A gap of every contract's."""
    return {(symbol, number): gap for symbol in CONTRACTS}


LATE, AWAY = "because no fresh data came from the exchange", "while FlashCur was not running"
YOUNG = "while there was too little history to compare with"
LINES: dict[str, tuple[dict[tuple[str, int], dict[str, int]], int, int, str]] = {
    # Gaps; the first and last day asked for; the line.
    "none": ({}, 22, 27, "Complete: all 40 contracts were watched without a gap since 22 November."),
    "none today": ({}, 27, 27, "Complete: all 40 contracts were watched without a gap today (UTC)."),
    "none on a day of before": ({}, 24, 24, "Complete: all 40 contracts were watched without a gap on 24 November."),
    "less than a second": (
        everywhere(23, stale=900),
        22,
        26,
        "Complete: all 40 contracts were watched without a gap from 22 November to 26 November.",
    ),
    "90 s in the week": (
        everywhere(24, stale=90_000),
        22,
        27,
        f"99.98 % complete since 22 November: 90 s blind per contract on 24 November, {LATE}.",
    ),
    "90 s today": (
        everywhere(27, stale=90_000),
        27,
        27,
        f"99.8 % complete today (UTC): 90 s blind per contract, {LATE}.",
    ),
    "90 s today in the week": (
        everywhere(27, stale=90_000),
        22,
        27,
        f"99.98 % complete since 22 November: 90 s blind per contract today, {LATE}.",
    ),
    "two seconds": (
        everywhere(22, stale=2_000),
        22,
        27,
        f"Over 99.99 % complete since 22 November: 2 s blind per contract on 22 November, {LATE}.",
    ),
    "the engine was away twice": (
        {**everywhere(23, engine_away=1_200_000), **everywhere(25, engine_away=60_000, stale=60_000)},
        22,
        27,
        f"99.7 % complete since 22 November: 22 min blind per contract, most of it on 23 November, mostly {AWAY}.",
    ),
    "on three days": (
        {(symbol, number): {"switch": 600_000} for symbol in CONTRACTS for number in (22, 23, 24)},
        22,
        27,
        "99.6 % complete since 22 November: 30 min blind per contract on 3 days, while another exchange was serving.",
    ),
    "one contract for long": (
        {("C7USDT", 25): {"no_baseline": 17 * HOUR_MS}, ("C7USDT", 26): {"no_baseline": 24 * HOUR_MS}},
        22,
        27,
        f"Complete since 22 November but for C7USDT, blind for 41 h, most of it on 26 November, {YOUNG}.",
    ),
    "a few contracts": (
        {("C7USDT", 25): {"no_baseline": 600_000}, ("C8USDT", 25): {"no_baseline": 60_000}},
        22,
        27,
        f"Complete since 22 November but for 2 of 40 contracts, blind for up to 10 min on 25 November, {YOUNG}.",
    ),
    "many contracts": (
        {(f"C{number}USDT", 25): {"no_baseline": HOUR_MS} for number in range(15)},
        22,
        27,
        f"99.7 % complete since 22 November: 15 of 40 contracts were blind for 60 min on 25 November, {YOUNG}.",
    ),
    "all a little and one for long": (
        {**everywhere(24, stale=90_000), ("C7USDT", 26): {"no_baseline": 24 * HOUR_MS}},
        22,
        27,
        f"99.5 % complete since 22 November: 90 s blind per contract on 24 November, {LATE}; C7USDT for 24 h.",
    ),
    "nothing seen": (
        everywhere(27, engine_away=12 * HOUR_MS),
        27,
        27,
        f"0 % complete today (UTC): 12 h blind per contract, {AWAY}.",
    ),
}


@pytest.mark.parametrize(("gaps", "first", "last", "line"), LINES.values(), ids=LINES)
def test_completeness_is_told_in_one_line(
    gaps: dict[tuple[str, int], dict[str, int]], first: int, last: int, line: str, database: Database
) -> None:
    save(database, *days(gaps), until_ms=NOW)
    end_ms = min(NOW, DAY + (last - 21) * DAY_MS)
    assert read(database, DAY + (first - 22) * DAY_MS, end_ms, now_ms=NOW).text == line


def test_it_is_about_the_contracts_that_are_asked_for(database: Database) -> None:
    save(
        database,
        *days({("1000BTCUSDT", 25): {"stale": 3 * HOUR_MS}, ("ETHUSDT", 24): {"stale": 90_000}}),
        until_ms=NOW,
    )

    def line(*coins: str) -> str:
        return read(database, DAY, NOW, now_ms=NOW, coins=coins).text

    assert line("C1") == "Complete: the contract was watched without a gap since 22 November."
    assert line("C1", "C2") == "Complete: all 2 contracts were watched without a gap since 22 November."
    assert line("BTC") == f"Complete since 22 November but for 1000BTCUSDT, blind for 3 h on 25 November, {LATE}."
    assert line("ETH", "C1") == f"Complete since 22 November but for ETHUSDT, blind for 90 s on 24 November, {LATE}."
    unknown = "Whether this is complete is not known: none of these contracts was watched then."
    assert (line("NOSUCH"), line()) == (unknown, unknown)


def test_one_contract_alone(database: Database) -> None:
    save(database, *days({("ETHUSDT", 24): {"stale": 90_000}}, ["ETHUSDT"]), until_ms=NOW)
    text = read(database, DAY, NOW, now_ms=NOW).text
    assert text == f"99.98 % complete since 22 November: 90 s blind on 24 November, {LATE}."


def test_nothing_is_known_before_the_first_watch(database: Database) -> None:
    text = "How complete this is will be known once the contracts have been watched for a while."
    assert read(database).text == text
    save(database, Day("BTCUSDT", DAY, not_begun=5_000))
    assert read(database).text == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (1_000, "1 s"),
        (90_000, "90 s"),
        (120_000, "2 min"),
        (6_600_000, "110 min"),
        (7_500_000, "2.1 h"),
        (147_600_000, "41 h"),
        (3 * DAY_MS, "3 days"),
        (20.5 * DAY_MS, "20 days"),
    ],
)
def test_lengths_of_time(ms: float, text: str) -> None:
    gap = Gap("BTCUSDT", stale=int(ms))
    told = Completeness(DAY, DAY_MS, int(ms), 0, 0, 0, 1, last_ms=DAY, now_ms=DAY, gaps=(gap,))
    assert f": {text} blind, " in told.text
