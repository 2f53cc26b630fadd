"""Names, symbols, limits, and files that people bring along."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.exports import ascii_name, markets_csv, markets_json, tradingview_text
from flashcur.domain.plans import PLANS
from flashcur.domain.watchlists import (
    IMPORT_SYMBOLS,
    KEY_LENGTH,
    NOT_TRADED,
    ImportPlan,
    ListView,
    clean_name,
    frozen,
    lists_limit,
    name_key,
    parse_import,
    read_only,
    symbols_limit,
    valid_symbol,
)
from tests.support.frames import market_frame

WIDE = {0xFEE0 + code: code for code in range(0x21, 0x7F)}
UNIVERSE = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "1000PEPEUSDT", "币安人生USDT", "龙虾USDT", "A_BUSDT")


def one(text: str) -> tuple[str, ...]:
    """The symbols of a file without headers."""
    plan = parse_import(text, UNIVERSE)
    assert [name for name, _ in plan.sections] == ([None] if plan.sections else [])
    return plan.sections[0][1] if plan.sections else ()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("  My   list ", "My list"),
        ("a\r\nb\tc", "a b c"),
        ("Cafe\u0301", "Café"),
        ("我的收藏", "我的收藏"),
        ("مفضلة", "مفضلة"),
        ("👩‍🚀 to the moon 🚀", "👩‍🚀 to the moon 🚀"),
        ("#1, best", "#1, best"),
        ("x" * 60, "x" * 60),
        ("e\u0301" * 60, "é" * 60),
    ],
)
def test_a_name_is_tidied(text: str, name: str) -> None:
    assert clean_name(text) == name


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "Give"),
        (" \n ", "Give"),
        ("\u200b\u200d", "Give"),
        ("x" * 61, "has 61"),
        ("a\x00b", "control"),
        ("a\x1bb", "control"),
        ("a\ud800", "control"),
        ("a\u202eb", "control"),
    ],
)
def test_a_name_that_cannot_be_is_refused(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        clean_name(text)


def test_names_that_differ_in_case_or_width_are_one() -> None:
    assert name_key("Majors") == name_key("MAJORS") == name_key("Ｍajors")
    assert name_key("Straße") == name_key("STRASSE")
    assert name_key("a, b") == name_key("a， b")
    assert name_key("Majors") != name_key("Minors")


@given(st.text(max_size=80))
def test_a_name_and_its_key_fit_their_columns(text: str) -> None:
    try:
        name = clean_name(text)
    except ValueError:
        return
    assert clean_name(name) == name
    assert 1 <= len(name) <= 60
    assert 1 <= len(name_key(name)) <= KEY_LENGTH


def test_keys_of_names_that_grow_are_still_different() -> None:
    long = "ﷺ" * 59
    assert len(name_key(long + "a")) == KEY_LENGTH
    assert name_key(long + "a") != name_key(long + "b")


@pytest.mark.parametrize(
    "text", ["BTCUSDT", "1000PEPEUSDT", "币安人生USDT", "🙂USDT", "عربيUSDT", "A", "x" * 40, "=A-B"]
)
def test_an_exchanges_id_is_opaque(text: str) -> None:
    assert valid_symbol(text)


@pytest.mark.parametrize(
    "text", ["", "x" * 41, "A B", "A\u3000B", "A\n", "A\x00", "A|B", "A,B", "A;B", "A:B", "#A", "A\u202e", "\ud800"]
)
def test_what_would_break_a_column_or_a_file_is_no_symbol(text: str) -> None:
    assert not valid_symbol(text)


def test_lists_past_the_plans_number_are_read_only() -> None:
    lists = [ListView(str(i), str(i), ()) for i in range(12)]
    assert frozen(lists, PLANS["free"]) == {str(i) for i in range(1, 12)}
    assert frozen(lists, PLANS["pro"]) == {"10", "11"}
    assert frozen(lists, PLANS["elite"]) == frozenset()
    assert frozen(lists[:1], PLANS["guest"]) == {"0"}


def test_limits_say_which_plan_has_more() -> None:
    assert lists_limit(PLANS["free"]) == "Free has 1 watchlist; Pro has 10."
    assert lists_limit(PLANS["elite"]) == "Elite has 50 watchlists."
    assert lists_limit(PLANS["guest"]) == "Guest has no watchlists; Free has 1."
    free = symbols_limit(PLANS["free"])
    assert free == "Free has room for 10 different symbols in watchlists; Pro has room for 100."
    assert symbols_limit(PLANS["elite"]) == "Elite has room for 1,000 different symbols in watchlists."
    assert "Pro has 10" in read_only(PLANS["free"])


@pytest.mark.parametrize(
    "text",
    [
        *("BINANCE:BTCUSDT.P", "BYBIT:BTCUSDT.P", "OKX:BTCUSDT.P", "BITGET:BTCUSDT.P", "BTCUSDT.P", "btcusdt.p"),
        *("BTCUSDTPERP", "BINANCE:BTCUSDTPERP", "BTCUSDT-PERP", "BTC-USDT-PERP", "BTC-USDT-SWAP", "BTC_USDT"),
        *("BTC/USDT:USDT", "BTC/USDT", "btc/usdt:usdt", "BTCUSDT", "btcusdt", "BINANCE:BTCUSDT", "BTC-USDT"),
        *('"BTCUSDT"', "'BTCUSDT'", "  BTCUSDT\t", "\ufeffBTCUSDT", "BTCUSDT;", "// mine\nBTCUSDT", "# mine\nBTCUSDT"),
    ],
)
def test_a_contract_is_known_by_every_spelling(text: str) -> None:
    assert one(text) == ("BTCUSDT",)


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("BINANCE:BIANRENSHENGUSDT.P", "币安人生USDT"),
        ("bianrenshengusdt", "币安人生USDT"),
        ("BINANCE:币安人生USDT.P", "币安人生USDT"),
        ("币安人生usdt", "币安人生USDT"),
        ("币安人生/USDT:USDT", "币安人生USDT"),
        ("LONGXIAUSDT.P", "龙虾USDT"),
        ("BINANCE:A_BUSDT.P", "A_BUSDT"),
        ("1000PEPE/USDT:USDT", "1000PEPEUSDT"),
    ],
)
def test_names_in_other_scripts_come_back_from_their_ascii(text: str, symbol: str) -> None:
    assert one(text) == (symbol,)


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("PEPEUSDT", "1000PEPEUSDT"),
        ("BYBIT:PEPE1000USDT.P", "1000PEPEUSDT"),
        ("1MPEPE/USDT:USDT", "1000PEPEUSDT"),
        ("BINANCE:PEPEUSDT", "1000PEPEUSDT"),
        ("SOL1000USDT", "SOLUSDT"),
        ("1000币安人生USDT", "币安人生USDT"),
    ],
)
def test_a_contract_is_found_under_the_number_that_another_exchange_counts(text: str, symbol: str) -> None:
    plan = parse_import(f"BTCUSDT\n{text}", UNIVERSE)
    assert plan.sections == ((None, ("BTCUSDT", symbol)),)
    assert plan.renamed == ((text, symbol),)
    assert (plan.skipped, plan.unknown) == ((), ())
    assert parse_import("1000PEPEUSDT", UNIVERSE).renamed == ()


def test_of_two_numbers_of_one_coin_none_is_guessed() -> None:
    universe = ("1000XUSDT", "XUSDT")
    assert parse_import("XUSDT,1000XUSDT", universe).sections == ((None, ("XUSDT", "1000XUSDT")),)
    plan = parse_import("X1000USDT", universe)
    assert (plan.sections, plan.skipped[0].reason) == ((), "either 1000XUSDT or XUSDT")


@pytest.mark.parametrize(
    ("text", "symbol", "renamed"),
    [
        ("BTC", "BTCUSDT", False),
        ("btc", "BTCUSDT", False),
        ("PEPE", "1000PEPEUSDT", True),
        ("SHIB1000", "SHIB1000USDT", False),
    ],
)
def test_a_coin_that_is_named_alone_is_its_contract(text: str, symbol: str, renamed: bool) -> None:
    plan = parse_import(text, ("BTCUSDT", "1000PEPEUSDT", "SHIB1000USDT"))
    assert plan.sections == ((None, (symbol,)),)
    assert plan.renamed == (((text, symbol),) if renamed else ())


def test_a_coin_that_nothing_is_about_is_no_contract() -> None:
    plan = parse_import("FOO;X;BTC", ("1000XUSDT", "10000XUSDT", "BTCUSDT"))
    assert plan.sections == ((None, ("BTCUSDT",)),)
    assert [each.reason for each in plan.skipped] == ["not a USDT perpetual", "either 10000XUSDT or 1000XUSDT"]


def test_an_ascii_name_of_two_contracts_is_not_guessed() -> None:
    plan = parse_import("BINANCE:LONGXIAUSDT.P", ("龙虾USDT", "龍蝦USDT", "BTCUSDT"))
    assert ascii_name("龍蝦USDT") == ascii_name("龙虾USDT")
    assert plan.sections == ()
    assert plan.skipped[0].reason == "either 龍蝦USDT or 龙虾USDT"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NASDAQ:AAPL", "not a USDT perpetual"),
        ("BINANCE:BTCUSD.P", "not a USDT perpetual"),
        ("BYBIT:BTCUSDC.P", "not a USDT perpetual"),
        ("BTC/USDT:USDT-261225", "not a USDT perpetual"),
        ("BTC/USDC:USDC", "not a USDT perpetual"),
        ("BINANCE:FOOUSDT", "a spot market without a USDT perpetual"),
        ("FOO/USDT", "a spot market without a USDT perpetual"),
        ("USDT", "not a USDT perpetual"),
        ("<script>alert(1)</script>USDT", "not a USDT perpetual"),
        ("BINANCE:ETHUSDT.P/BINANCE:BTCUSDT.P", "not a USDT perpetual"),
        (":BTCUSDT", "not a USDT perpetual"),
        ("Z" * 50 + "USDT", "not a USDT perpetual"),
        ("Z" * 101, "too long for a symbol"),
        ("GONEUSDT", "not traded here now"),
        ("продамUSDT", "not traded here now"),
        ("BTCUSDTETHUSDT", "not traded here now"),
        ("BTCUSDT+ETHUSDT", "not a USDT perpetual"),
        ("BTCUSDT&ETHUSDT", "not a USDT perpetual"),
        ("BTC™USDT", "not a USDT perpetual"),
        ("币🙂USDT", "not a USDT perpetual"),
        ("BTC\u200bUSDT", "written with an invisible character"),
        ("B\ufeffTCUSDT", "written with an invisible character"),
    ],
)
def test_what_is_no_contract_is_skipped_with_its_line_and_reason(text: str, reason: str) -> None:
    plan = parse_import(f"BTCUSDT\n\n{text}\nETHUSDT", UNIVERSE)
    assert plan.sections == ((None, ("BTCUSDT", "ETHUSDT")),)
    assert plan.skipped == ((3, text[:60], reason),)
    assert bool(plan.unknown) is (reason == "not traded here now")


@pytest.mark.parametrize("between", [*",;|，；｜、､。｡،؛", "\n", " ", "\u3000", "，\u3000", " 、 "])
def test_what_separates_symbols_is_never_part_of_one(between: str) -> None:
    assert one(f"BTCUSDT{between}ETHUSDT{between}SOLUSDT") == ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    plan = parse_import(f"###Mine\nBTCUSDT{between}AUSDT{between}龙虾USDT", UNIVERSE, keep_unknown=True)
    assert plan.sections == (("Mine", ("BTCUSDT", "AUSDT", "龙虾USDT")),)
    if between.strip():
        assert not valid_symbol(f"A{between.strip()}USDT")


def test_wide_letters_are_letters() -> None:
    assert one("ＢＴＣＵＳＤＴ、ＢＩＮＡＮＣＥ：ＥＴＨＵＳＤＴ．Ｐ，ＳＯＬ／ＵＳＤＴ：ＵＳＤＴ") == (
        "BTCUSDT",
        "ETHUSDT",
        "SOLUSDT",
    )


def test_csv_is_cut_at_wide_separators_too() -> None:
    assert one("symbol；price\nBTCUSDT；1\nETHUSDT；2") == ("BTCUSDT", "ETHUSDT")
    plan = parse_import('symbol,price\n"BTCUSDT，ETHUSDT",1', UNIVERSE)
    assert (plan.sections, plan.skipped) == ((), ((2, "BTCUSDT，ETHUSDT", "not a USDT perpetual"),))


def test_a_header_after_a_wide_separator_is_a_header() -> None:
    plan = parse_import("BTCUSDT，###Alts, and more，SOLUSDT\n", UNIVERSE)
    assert plan.sections == ((None, ("BTCUSDT",)), ("Alts", ("SOLUSDT",)))
    assert [skipped.text for skipped in plan.skipped] == ["and", "more"]


GONE = "###A\nBINANCE:gone1usdt.P\nBTCUSDT\n###B\nGONE1USDT\n旧币USDT\nOLD/USDT:USDT"


def test_contracts_that_do_not_trade_now_are_left_out_with_their_lines() -> None:
    plan = parse_import("NEVERUSDT\n" + GONE, UNIVERSE)
    assert plan.sections == (("A", ("BTCUSDT",)), ("B", ()))
    assert plan.unknown == ((None, ("NEVERUSDT",)), ("A", ("GONE1USDT",)), ("B", ("GONE1USDT", "旧币USDT", "OLDUSDT")))
    assert plan.skipped[:2] == ((1, "NEVERUSDT", NOT_TRADED), (3, "BINANCE:gone1usdt.P", NOT_TRADED))
    assert len(plan.skipped) == 5


def test_they_are_kept_where_their_owner_says_so() -> None:
    plan = parse_import(GONE, UNIVERSE, keep_unknown=True)
    assert plan.sections == (("A", ("GONE1USDT", "BTCUSDT")), ("B", ("GONE1USDT", "旧币USDT", "OLDUSDT")))
    assert plan.unknown == ()
    assert plan.skipped == ()
    # What is no contract anywhere stays out all the same.
    assert parse_import("BTCUSDT+ETHUSDT\nNASDAQ:AAPL\nBINANCE:XUSDT", UNIVERSE, keep_unknown=True).sections == ()


def test_tradingviews_own_export_is_one_line() -> None:
    text = "###MAJORS,BINANCE:BTCUSDT.P,BINANCE:ETHUSDT.P,###MEMES,BYBIT:1000PEPEUSDT.P,NASDAQ:AAPL,###NOTHING"
    plan = parse_import(text, UNIVERSE)
    assert plan.sections == (("MAJORS", ("BTCUSDT", "ETHUSDT")), ("MEMES", ("1000PEPEUSDT",)), ("NOTHING", ()))
    assert [skipped.text for skipped in plan.skipped] == ["NASDAQ:AAPL"]


def test_sections_across_lines_with_what_stands_before_them() -> None:
    text = "\ufeffSOLUSDT\r\n###  A   list \r\nBTCUSDT,ETHUSDT\r\n\r\n###B\rBTCUSDT\n###a LIST\nBTCUSDT SOLUSDT"
    plan = parse_import(text, UNIVERSE)
    assert plan.sections == (
        (None, ("SOLUSDT",)),
        ("A list", ("BTCUSDT", "ETHUSDT", "SOLUSDT")),
        ("B", ("BTCUSDT",)),
    )
    assert plan.duplicates == 1


def test_a_header_that_cannot_be_a_name_is_made_one() -> None:
    plan = parse_import(f"###{'n' * 99}\nBTCUSDT\n###\x01\u202eX\nETHUSDT\n###\nSOLUSDT", UNIVERSE)
    assert [name for name, _ in plan.sections] == ["n" * 60, "X", None]


def test_duplicates_within_a_section_count_once() -> None:
    plan = parse_import("BTCUSDT\nBINANCE:BTCUSDT.P\nBYBIT:BTCUSDT", UNIVERSE)
    assert plan.sections == ((None, ("BTCUSDT",)),)
    assert plan.duplicates == 2


@pytest.mark.parametrize(
    "text",
    [
        "symbol,price\r\nBTCUSDT,1\r\n\r\nETHUSDT,2\r\n",
        "\ufeffSymbol;Price\nBTCUSDT;1,5\nETHUSDT;2,5",
        '\n"Symbol","Name, long"\n"BINANCE:BTCUSDT.P","a ""b"", c"\n"ETHUSDT","d"',
        "Ticker\tNote\rBTCUSDT\tNASDAQ:AAPL\rETHUSDT\t\r",
        "symbol\nBTCUSDT\nETHUSDT",
    ],
)
def test_csv_with_a_header_is_read_by_its_first_column(text: str) -> None:
    assert one(text) == ("BTCUSDT", "ETHUSDT")
    assert parse_import(text, UNIVERSE).skipped == ()


def test_csv_skips_by_line() -> None:
    assert parse_import("symbol,x\nBTCUSDT,1\nAAPL,2", UNIVERSE).skipped == ((3, "AAPL", "not a USDT perpetual"),)


def test_our_own_files_come_back() -> None:
    symbols = ["币安人生USDT", "=AUSDT", "BTCUSDT"]
    frame = market_frame(contracts=3)
    frame = replace(frame, columns=frame.columns | {"symbol": "|".join(symbols)})
    assert parse_import(markets_csv(frame, [0, 1, 2], False), symbols).sections == ((None, tuple(symbols)),)
    body = markets_json(frame, [0, 1, 2], False, datetime(2026, 11, 25, tzinfo=UTC)).decode()
    assert parse_import(body, symbols).sections == ((None, tuple(symbols)),)


def test_json_of_others() -> None:
    assert one('["BTCUSDT", "ETH/USDT:USDT"]') == ("BTCUSDT", "ETHUSDT")
    deep = json.loads("[" * 900 + "]" * 900)
    plan = parse_import(json.dumps({"data": [{"symbol": "BTCUSDT"}, {"x": 1}, 7, None, deep]}), UNIVERSE)
    assert [skipped.line for skipped in plan.skipped] == [2, 3, 4, 5]


@pytest.mark.parametrize("text", ["{", '{"a": 1}', '{"data": {}}', "[1,", "[" * 5000, '{"data": "BTCUSDT"}'])
def test_broken_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="JSON"):
        parse_import(text, UNIVERSE)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("x" * 512_001, "512 kB"),
        ("币" * 171_000, "512 kB"),
        ("A1USDT," * (IMPORT_SYMBOLS + 1), "5,000"),
        ("\n".join(f"###{i}" for i in range(51)), "50"),
        ('symbol\n"' + "x" * 200_000, "not whole"),
    ],
)
def test_a_file_beyond_its_bounds_is_refused(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        parse_import(text, UNIVERSE)


def test_a_file_at_its_bounds_is_read() -> None:
    lines = [f"###{i}\n" + "\n".join(f"C{i}X{j}USDT" for j in range(100)) for i in range(50)]
    plan = parse_import("\n".join(lines), UNIVERSE)
    assert len(plan.sections) == 50
    assert sum(len(symbols) for _, symbols in plan.unknown) == IMPORT_SYMBOLS


def test_nothing_is_nothing() -> None:
    for text in ("", "\n\n", "\ufeff", ",,,", "[]", "symbol\n"):
        assert parse_import(text, UNIVERSE) == ImportPlan((), (), (), 0)


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        plan = parse_import(text, UNIVERSE)
    except ValueError as error:
        assert "JSON" in str(error)  # noqa: PT017
        return
    for name, symbols in plan.sections:
        assert name is None or clean_name(name) == name
        assert set(symbols) <= set(UNIVERSE)
    for _, symbols in parse_import(text, (), keep_unknown=True).sections:
        # Nothing was left out of what was written to make it one.
        assert all(symbol.removesuffix("USDT").upper() in text.translate(WIDE).upper() for symbol in symbols)


def _cleanable(text: str) -> bool:
    try:
        clean_name(text)
    except ValueError:
        return False
    return True


names = st.text(min_size=1, max_size=60).filter(_cleanable).map(clean_name)
# Contracts of today in any script, and ones that are gone: those come back if their id is ASCII, as nearly all are.
current = st.sampled_from(UNIVERSE)
gone = st.from_regex(r"[A-Z0-9_]{1,10}USDT", fullmatch=True)
symbols = st.lists(current | gone, max_size=20, unique=True)


@given(st.lists(st.tuples(names, symbols), max_size=8, unique_by=lambda section: name_key(section[0])), symbols)
def test_what_is_exported_comes_back_the_same(sections: list[tuple[str, list[str]]], loose: list[str]) -> None:
    written = tradingview_text([*sections, (None, loose)], "binanceusdm")
    for text in (written, written.replace("\n", "\r\n"), written.replace("\n", ",")):
        plan = parse_import(text, UNIVERSE, keep_unknown=True)
        read = [(name and name_key(name), list(symbols)) for name, symbols in plan.sections]
        expected = [(name_key(name), symbols) for name, symbols in sections]
        assert read == ([(None, loose)] if loose else []) + expected
        assert not plan.skipped
        assert not plan.duplicates
