"""What people read and share of rules: contradictions, the sentence, presets, links."""

from __future__ import annotations

import json
import zlib
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.rules.condition import (
    INTEREST_WINDOWS_S,
    MOVE_WINDOWS_S,
    Condition,
    Fault,
    FundingLevel,
    InterestMove,
    OnSignal,
    PriceCross,
    PriceMove,
    VolumeRatio,
)
from flashcur.domain.rules.contradictions import contradictions
from flashcur.domain.rules.presets import PRESETS
from flashcur.domain.rules.rule import Definition, Scope
from flashcur.domain.rules.sentence import duration, sentence
from flashcur.domain.rules.share import from_link, to_link
from flashcur.domain.signals.signal import DETECTOR_NAMES

ONE = Scope("symbol", "BTCUSDT")
PRICES = st.floats(1e-9, 1e8)
PERCENTS = st.floats(0.01, 99)
CONDITIONS: st.SearchStrategy[Condition] = st.one_of(
    st.builds(PriceCross, st.sampled_from(("above", "below")), PRICES),
    st.builds(PriceMove, st.sampled_from(("up", "down", "either")), PERCENTS, st.sampled_from(MOVE_WINDOWS_S)),
    st.builds(VolumeRatio, st.floats(1, 1000), st.floats(0, 1e12)),
    st.builds(FundingLevel, st.sampled_from(("above", "below")), st.floats(-10, 10)),
    st.builds(InterestMove, st.sampled_from(("up", "down", "either")), PERCENTS, st.sampled_from(INTEREST_WINDOWS_S)),
    st.builds(OnSignal, st.sampled_from(DETECTOR_NAMES), st.sampled_from((1, 2, 3))),
)
DEFINITIONS = st.builds(
    Definition,
    st.lists(CONDITIONS, min_size=1, max_size=5).map(tuple),
    st.sampled_from((ONE, Scope("all"), Scope("watchlist", "", "abc"))),
    mode=st.sampled_from(("once", "repeat")),
    cooldown_s=st.integers(60, 604_800),
    hold_s=st.integers(0, 3_600),
    urgent=st.booleans(),
)


def faults(*conditions: Condition, **terms: Any) -> list[str]:
    return [each.field for each in contradictions(Definition(conditions, ONE, **terms))]


@pytest.mark.parametrize(
    ("conditions", "fields"),
    [
        ((PriceCross("above", 100), PriceCross("below", 90)), ["conditions.1.price"]),
        ((PriceCross("below", 90), PriceCross("above", 100)), ["conditions.1.price"]),
        ((PriceCross("above", 90), PriceCross("below", 100)), []),
        ((PriceCross("above", 90), PriceCross("above", 100)), ["conditions.1.price"]),
        ((FundingLevel("above", 0.1), FundingLevel("below", -0.1)), ["conditions.1.percent"]),
        ((FundingLevel("above", -0.1), FundingLevel("below", 0.1)), []),
        ((PriceMove("up", 5, 300), PriceMove("down", 5, 300)), ["conditions.1.way"]),
        ((PriceMove("up", 5, 300), PriceMove("down", 5, 900)), []),
        ((PriceMove("either", 5, 300), PriceMove("up", 9, 300)), ["conditions.1.way"]),
        ((InterestMove("up", 5, 300), PriceMove("down", 5, 300)), []),
        ((InterestMove("up", 5, 300), InterestMove("down", 5, 300)), ["conditions.1.way"]),
        ((VolumeRatio(3, 0), VolumeRatio(5, 0)), ["conditions.1"]),
        ((OnSignal("volume_spike"), OnSignal("funding")), ["conditions.1"]),
        ((OnSignal("listing", direction="bullish"),), ["conditions.0.direction"]),
        ((OnSignal("funding", direction="bearish"),), ["conditions.0.direction"]),
        ((OnSignal("volume_spike", quadrant="long_build_up"),), ["conditions.0.quadrant"]),
        ((OnSignal("open_interest", quadrant="sideways"),), ["conditions.0.quadrant"]),
        ((OnSignal("open_interest", direction="bearish", quadrant="long_build_up"),), ["conditions.0.direction"]),
        ((OnSignal("open_interest", direction="bullish", quadrant="long_build_up"),), []),
    ],
)
def test_what_can_never_be_is_refused_beside_its_field(conditions: tuple[Condition, ...], fields: list[str]):
    assert faults(*conditions) == fields


def test_a_signal_cannot_hold():
    assert faults(OnSignal("funding"), PriceCross("above", 1), hold_s=5) == ["hold_s"]


def test_as_much_volume_as_before_is_not_so_many_times_it():
    definition = Definition((VolumeRatio(1, 0), PriceCross("above", 1)), ONE, mode="once")
    assert sentence(definition, ends="in 7 days") == (
        "Tell me when BTCUSDT has at least the previous hour’s volume and trades at or above 1 USDT, once. It ends in "
        "7 days."
    )


def test_the_sentence():
    definition = Definition((PriceMove("either", 5, 900), VolumeRatio(3, 1_000_000)), ONE)
    assert sentence(definition, "BTCUSDT") == (
        "Tell me when BTCUSDT rises or falls by 5 % or more within 15 minutes and has at least 3 times the previous "
        "hour’s volume and at least $1,000,000 this hour, at most once an hour."
    )
    definition = Definition(
        (FundingLevel("below", -0.05), PriceCross("above", 0.00001), PriceMove("down", 1.5, 60)),
        Scope("watchlist", "", "x"),
        hold_s=90,
        urgent=True,
    )
    assert sentence(definition, "Majors") == (
        "Tell me when any contract in “Majors” has a funding rate of −0.05 % per interval or less, trades at or above "
        "0.00001 USDT and falls by 1.5 % or more within 1 minute, and stays that way for 90 seconds, at most once an "
        "hour per contract, even in quiet hours and over the daily cap."
    )
    signal = OnSignal("open_interest", 2, quadrant="short_covering")
    assert sentence(Definition((signal,), Scope("all"), mode="once")) == (
        "Tell me when any contract has an open interest surge signal (short covering, strong or stronger), once."
    )
    spike = Definition((OnSignal("volume_spike", 1, "bearish"),), ONE, cooldown_s=900)
    assert sentence(spike) == (
        f"Tell me when {ONE.symbol} has a bearish volume spike signal, at most once every 15 minutes."
    )
    listing = Definition((OnSignal("listing"),), Scope("all"), cooldown_s=0)
    assert sentence(listing) == "Tell me when any contract has a listing or terms signal, every time."


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (1, "1 second"), (60, "1 minute"), (90, "90 seconds"), (3_660, "1 hour 1 minute")],
)
def test_durations(seconds: int, words: str):
    assert duration(seconds) == words


@given(DEFINITIONS)
def test_every_rule_has_a_sentence_and_a_link(definition: Definition):
    said = sentence(definition)
    assert said.startswith("Tell me when ")
    assert said.endswith(".")
    opened = from_link(to_link(definition))
    assert opened.conditions == definition.conditions
    assert (opened.mode, opened.cooldown_s, opened.hold_s) == (
        definition.mode,
        definition.cooldown_s,
        definition.hold_s,
    )


def test_a_link_tells_nothing_private():
    mine = Definition((PriceCross("above", 1),), Scope("watchlist", "", "secret"), note="my stop", name="Breakout")
    opened = from_link(to_link(mine))
    assert opened.scope == Scope("all")
    assert opened.note == ""
    assert opened.name == "Breakout"
    assert "secret" not in str(opened)


@pytest.mark.parametrize("text", [None, 7, "", "1", "x", "1!!!!", "1" + "A" * 5_000, "2abc", "1eJwDAAAAAAE", "1é"])
def test_what_is_no_link_is_refused(text: object):
    with pytest.raises(Fault, match="broken or incomplete"):
        from_link(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just("²"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@given(DEFINITIONS, st.data())
def test_a_link_with_anything_odd_in_it_gives_a_rule_or_a_fault(definition: Definition, data: st.DataObject):
    written = definition.to_json()
    part = data.draw(st.sampled_from((written, written["scope"], *written["conditions"])))
    part[data.draw(st.sampled_from(sorted(part)))] = data.draw(JSON)
    sent = zlib.compress(json.dumps(written).encode())
    try:
        opened = from_link("1" + urlsafe_b64encode(sent).decode().rstrip("="))
    except Fault:
        return
    assert sentence(opened).startswith("Tell me when ")
    contradictions(opened)


@given(st.text(max_size=200))
def test_no_text_breaks_the_reading_of_links(text: str):
    try:
        from_link("1" + text)
    except Fault:
        return


def test_presets_can_fire_and_go_through_a_form():
    assert len({preset.id for preset in PRESETS}) == len(PRESETS)
    for preset in PRESETS:
        assert contradictions(preset.definition) == []
        assert Definition.from_json(preset.definition.to_json()) == preset.definition
    assert [preset.id for preset in PRESETS if preset.open_interest] == ["new-positions"]


def test_the_range_of_a_number_is_told_in_plain_numbers() -> None:
    raw = Definition((PriceCross("above", 1.0),), ONE).to_json()
    raw["conditions"][0]["price"] = 1e10
    with pytest.raises(Fault, match=r"^Enter a number from 0\.000000000001 to 1,000,000,000\.$"):
        Definition.from_json(raw)
