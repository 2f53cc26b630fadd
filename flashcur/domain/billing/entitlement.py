"""Which plan an account is entitled to, by its subscriptions, grants and disputes alone.

It does not matter in which order, how often or how late the records came: the same records give the same plan. Times
are Unix ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, NamedTuple

from flashcur.domain.plans import PLAN_NAMES, PlanName

GRACE_MS = 7 * 86_400_000
"""How long a plan stays whose payment failed."""

Source = Literal["none", "stripe", "operator"]
"""Who gives a plan."""

_GRANTING = ("active", "trialing")
_GIVING_NOTHING = ("incomplete", "incomplete_expired", "unpaid", "canceled", "paused")
_LIVE = (*_GRANTING, "past_due")


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A subscription of Stripe's."""

    id: str
    status: str
    """Stripe's word."""
    plan: PlanName | None
    """What its price buys; None where the price is not ours."""
    created_ms: int
    period_start_ms: int | None = None
    ends_ms: int | None = None
    """When it ends, where that is settled already; None: it renews."""
    ended_ms: int | None = None
    past_due_since_ms: int | None = None
    """When the first invoice that is still to be paid became due; None where Stripe did not say."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A plan that an operator gave."""

    id: str
    plan: PlanName
    from_ms: int
    until_ms: int | None = None
    """None: no end."""
    ended_ms: int | None = None
    """When it was taken back."""


@dataclass(frozen=True, slots=True)
class Disputed:
    """A charge that its payer disputes with the bank."""

    subscription_id: str
    status: str
    """Stripe's word; only `lost` has a consequence."""
    covers_until_ms: int | None
    """End of the period that the charge paid."""


@dataclass(frozen=True, slots=True)
class Entitlement:
    """The plan of a moment, and what follows it."""

    plan: PlanName
    source: Source
    until_ms: int | None
    """When another plan follows, as far as the records say; None: no end is known."""
    then: PlanName
    """The plan that follows at `until_ms`; `free` where no end is known."""


class Concern(NamedTuple):
    """What somebody should look at; it decides no plan."""

    kind: Literal["unknown-price", "unknown-status", "second-subscription"]
    subject: str
    """Id of the subscription, or of both, with a space between."""


class _Span(NamedTuple):
    """For how long a record gives a plan: from its start to before its end."""

    plan: PlanName
    source: Source
    start_ms: float
    end_ms: float

    def at(self, moment_ms: int) -> bool:
        return self.start_ms <= moment_ms < self.end_ms


_ALWAYS = float("inf")


def entitlement(
    subscribed: Iterable[Subscribed], granted: Iterable[Granted], disputed: Iterable[Disputed], now_ms: int
) -> Entitlement:
    """The plan at `now_ms`: the best that any record gives; Free where none does.

    `active` and `trialing` give the plan until the subscription ends, `past_due` for `GRACE_MS`; no other word gives
    anything, nor does a price that is not ours. A dispute that was lost withholds the period that its charge paid.
    """
    lost = [each for each in disputed if each.status == "lost" and each.covers_until_ms is not None]
    spans = [*_bought(subscribed, lost), *map(_given, granted)]
    plan, source = _best(spans, now_ms)
    edges = {int(edge) for span in spans for edge in (span.start_ms, span.end_ms) if now_ms < edge < _ALWAYS}
    for edge in sorted(edges):
        then, _ = _best(spans, edge)
        if then != plan:
            return Entitlement(plan, source, edge, then)
    return Entitlement(plan, source, None, "free")


def concerns(subscribed: Iterable[Subscribed]) -> tuple[Concern, ...]:
    """What is strange about an account's subscriptions, in one order whichever they came in."""
    known = list(subscribed)
    live = sorted(each.id for each in known if each.status in _LIVE)
    found = [Concern("second-subscription", " ".join(pair)) for pair in combinations(live, 2)]
    for each in known:
        if each.status not in (*_LIVE, *_GIVING_NOTHING):
            found.append(Concern("unknown-status", each.id))
        elif each.plan is None and each.status in _LIVE:
            found.append(Concern("unknown-price", each.id))
    return tuple(sorted(found))


def _bought(subscribed: Iterable[Subscribed], lost: list[Disputed]) -> Iterator[_Span]:
    for each in subscribed:
        if each.plan is None or each.status not in _LIVE or _withheld(each, lost):
            continue
        ends = [end for end in (each.ends_ms, each.ended_ms) if end is not None]
        if each.status == "past_due":
            # Not "now" where Stripe did not say: grace would begin anew with each look.
            since = (each.past_due_since_ms, each.period_start_ms, each.created_ms)
            ends.append(next(moment for moment in since if moment is not None) + GRACE_MS)
        yield _Span(each.plan, "stripe", -_ALWAYS, min(ends, default=_ALWAYS))


def _withheld(each: Subscribed, lost: list[Disputed]) -> bool:
    start_ms = each.created_ms if each.period_start_ms is None else each.period_start_ms
    return any(
        dispute.subscription_id == each.id and start_ms < (dispute.covers_until_ms or start_ms) for dispute in lost
    )


def _given(grant: Granted) -> _Span:
    ends = [end for end in (grant.until_ms, grant.ended_ms) if end is not None]
    return _Span(grant.plan, "operator", grant.from_ms, min(ends, default=_ALWAYS))


def _best(spans: list[_Span], moment_ms: int) -> tuple[PlanName, Source]:
    """Of several that give the same plan the source is that which gives it longest, Stripe first."""
    giving = [span for span in spans if span.at(moment_ms) and span.plan != "free"]
    if not giving:
        return "free", "none"
    best = max(giving, key=lambda span: (PLAN_NAMES.index(span.plan), span.end_ms, span.source == "stripe"))
    return best.plan, best.source
