"""Which plan and period each of Stripe's prices sells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, cast

from flashcur.domain.plans import PlanName, plan_name

Period = Literal["monthly", "yearly"]


class Sold(NamedTuple):
    """What a price buys."""

    plan: PlanName
    period: Period


class PriceTable:
    """The prices of the settings. Of several ids for one plan and period the first is sold; the others were once."""

    def __init__(self, ids: Mapping[tuple[str, str], Sequence[str]], live: bool | None) -> None:
        """`ids` by plan and period; an id stands in one place alone. `live`: see the attribute."""
        self.live = live
        """Whether the key is of live payments; None without a key: then records of either mode count."""
        self._sold = {
            price_id: Sold(plan_name(plan), cast("Period", period))
            for (plan, period), price_ids in ids.items()
            for price_id in price_ids
        }

    def sold(self, price_id: str) -> Sold | None:
        """What a price buys; None for one that is not ours."""
        return self._sold.get(price_id)
