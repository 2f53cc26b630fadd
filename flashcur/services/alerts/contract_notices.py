"""What owners are told when a contract is no longer traded, or has another name: once of all the rules on it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flashcur.domain import multiples
from flashcur.domain.rules.condition import PriceCross
from flashcur.domain.rules.firing import plain
from flashcur.domain.rules.renaming import counts
from flashcur.domain.rules.rule import MOST_NAME, Definition
from flashcur.domain.rules.sentence import condition_text
from flashcur.models import AlertRecord, RuleRecord
from flashcur.services.alerts.compose import MOST_NAMED, MOST_TEXT, MOST_TITLE
from flashcur.services.alerts.findings import notice_key, notice_of


@dataclass(frozen=True, slots=True)
class Left:
    """A rule whose contract left."""

    rule: RuleRecord
    """As it was before."""
    before: Definition
    """What it said."""
    after: Definition | None
    """What it says under the contract's other name; None where it rests."""

    @property
    def going(self) -> bool:
        """Whether it was evaluated."""
        return self.rule.status == "active"


def delisted_notice(
    found: Sequence[Left], symbol: str, exchange: str, others: Iterable[str], now_ms: int
) -> AlertRecord:
    """Says that rules of one account rest as their contract is no longer traded; `others` are the contracts on the
    same coin."""
    alone = len(found) == 1
    if alone:
        told = ["It stays paused if the contract comes back: you decide when it goes on."]
        what = "Rule paused" if found[0].going else "Rule stays paused"
    else:
        told = ["They stay paused if the contract comes back: you decide when each goes on."]
        what = f"{len(found):,} rules {'paused' if any(each.going for each in found) else 'stay paused'}"
    if renamed := sorted(others):
        told.insert(0, _of_another_multiple(symbol, renamed[0], alone=alone))
    return _notice(found, "delisted", f"{what}: {symbol} is no longer traded", told, now_ms, exchange, symbol)


def renamed_notice(found: Sequence[Left], former: str, symbol: str, exchange: str, now_ms: int) -> AlertRecord:
    """Says that rules of one account follow their contract to another name, and which of their prices were rescaled."""
    alone = len(found) == 1
    was, now = counts(former), counts(symbol)
    told = [f"The exchange calls {former} {symbol} now. {_whose(found)}"]
    if was != now:
        number = f"{now:,} {multiples.coin(symbol)} instead of {was:,}"
        told.append(f"{symbol} counts {number}: its price is {_times(was, now)} the price before.")
    if alone and (moved := _moved(found[0])):
        told.append(f"Each price in the rule was rescaled with it: {moved}.")
    elif any(_moved(each) for each in found):
        told.append("Each price in the rules was rescaled with it.")
    if all(each.going for each in found):
        told.append(f"{'It starts' if alone else 'They start'} anew: what happened before does not count.")
    elif any(each.going for each in found):
        told.append("Those that were active start anew: what happened before does not count.")
    title = f"{'Rule' if alone else f'{len(found):,} rules'} moved: {former} is {symbol} now"
    return _notice(found, "renamed", title, told, now_ms, exchange, symbol)


def _notice(
    found: Sequence[Left], why: str, title: str, told: Sequence[str], now_ms: int, exchange: str, symbol: str
) -> AlertRecord:
    if len(found) == 1:
        return notice_of(found[0].rule, why, title, "\n".join(told), now_ms, exchange, symbol)
    # As their owner has them in the list.
    in_order = sorted(found, key=lambda each: (each.rule.position, each.rule.id))
    keys = sorted(notice_key(each.rule, why) for each in in_order)
    account_id = in_order[0].rule.account_id
    return AlertRecord(
        key=f"notice:{account_id}:{why}:{hashlib.sha256(chr(10).join(keys).encode()).hexdigest()[:40]}",
        account_id=account_id,
        kind="notice",
        exchange=exchange,
        symbol=symbol,
        title=title[:MOST_TITLE],
        text=_listed(told, in_order)[:MOST_TEXT],
        # The text names some of them, and a key that is a digest none.
        evidence={
            "why": why,
            "rules": [
                {"rule_id": each.rule.id, "rule_version": each.rule.version, "name": each.before.name}
                for each in in_order
            ],
        },
        event_ms=now_ms,
        seen_ms=now_ms,
        stored_ms=0,
        hash="",
    )


def _listed(told: Sequence[str], found: Sequence[Left]) -> str:
    """What is said of all, and a line for each of the first rules as far as there is room; the others are counted."""
    mixed = len({each.going for each in found}) > 1
    named: list[str] = []
    for number, each in enumerate(found[:MOST_NAMED]):
        line = _named(each.before)
        if mixed and not each.going:
            line += " (paused before)"
        if moved := _moved(each):
            line += f": {moved}"
        if len("\n".join((*told, *named, line, _more(len(found) - number)))) > MOST_TEXT:
            break
        named.append(line)
    left = len(found) - len(named)
    return "\n".join((*told, *named, *([_more(left)] if left else [])))


def _more(number: int) -> str:
    return f"and {number:,} more."


def _named(said: Definition) -> str:
    """What its owner knows a rule by: its name, or what it waits for."""
    if said.name:
        return f"“{said.name}”"
    text = " and ".join(condition_text(each) for each in said.conditions)
    text = f"{text[:1].upper()}{text[1:]}"
    return text if len(text) <= MOST_NAME else f"{text[: MOST_NAME - 1].rstrip()}…"


def _whose(found: Sequence[Left]) -> str:
    """Under which name rules are evaluated from now on."""
    going = [each for each in found if each.going]
    if len(found) == 1:
        return "The rule watches it under this name." if going else "The rule goes by this name, too, and stays paused."
    if len(going) == len(found):
        return "The rules watch it under this name."
    if not going:
        return "The rules go by this name, too, and stay paused."
    return "The rules go by this name, too; those that were paused stay paused."


def _moved(left: Left) -> str:
    """The prices of a rule that were rescaled; empty where none was."""
    if left.after is None:
        return ""
    pairs = zip(left.before.conditions, left.after.conditions, strict=True)
    return ", ".join(
        f"{plain(old.price)} USDT is {plain(new.price)} USDT now"
        for old, new in pairs
        if isinstance(old, PriceCross) and isinstance(new, PriceCross) and old != new
    )


def _of_another_multiple(symbol: str, other: str, *, alone: bool) -> str:
    before, after = counts(symbol), counts(other)
    if before == after:
        return f"{other} is on the same coin."
    prices = "the rule before you move it" if alone else "the rules before you move them"
    return (
        f"{other} is on the same coin, {multiples.coin(other)}, and counts {after:,} of it instead of {before:,}: "
        f"its price is {_times(before, after)} the price before. Check each price in {prices} there."
    )


def _times(before: int, after: int) -> str:
    return f"{after // before:,} times" if after > before else f"1/{before // after:,} of"
