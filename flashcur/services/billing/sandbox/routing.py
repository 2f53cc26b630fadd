"""A table of what the API serves: method, address, the parameters it takes, and who answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from flashcur.services.billing.sandbox.forms import Form, as_form, as_int
from flashcur.services.billing.sandbox.ledger import Obj
from flashcur.services.billing.sandbox.objects import listing
from flashcur.services.billing.sandbox.refusals import ApiRefusal
from flashcur.services.billing.sandbox.shop import Shop

Answerer = Callable[[Shop, Form, str], Obj]
"""Shop, parameters, and the id in the address ("" where there is none)."""

PAGED: Final = ("limit", "starting_after", "ending_before")
"""Parameters of every list."""
CREATED: Final = ("created", "created.gt", "created.gte", "created.lt", "created.lte")
"""Parameters that choose by time."""


class Route(NamedTuple):
    """`path` is below `/v1/`; `{id}` in it stands for an id."""

    method: str
    path: str
    answer: Answerer
    known: tuple[str, ...] = ()

    def match(self, method: str, path: str) -> str | None:
        """The id in an address of this route ("" without one), or None for another address."""
        if method != self.method:
            return None
        pattern = re.escape(self.path).replace(r"\{id\}", "([^/]+)")
        found = re.fullmatch(pattern, path)
        return None if found is None else (found.groups() or ("",))[0]


def page(things: Iterable[Obj], form: Form, url: str) -> Obj:
    """The part of a list that was asked for, the newest first. Raises ApiRefusal."""
    found: Sequence[Obj] = [thing for thing in reversed(list(things)) if _in_time(thing, form)]
    limit = as_int(form.get("limit", "10"), "limit")
    if not 1 <= limit <= 100:
        raise ApiRefusal("This value must be between 1 and 100 inclusive.", param="limit")
    ids = [thing["id"] for thing in found]
    for name in ("starting_after", "ending_before"):
        if name in form and form[name] not in ids:
            raise ApiRefusal(f"No such object: '{form[name]}'", code="resource_missing", param=name)
    if "ending_before" in form:
        before = found[: ids.index(form["ending_before"])]
        return listing(list(before[-limit:]), url, has_more=len(before) > limit)
    if "starting_after" in form:
        found = found[ids.index(form["starting_after"]) + 1 :]
    return listing(list(found[:limit]), url, has_more=len(found) > limit)


def _in_time(thing: Obj, form: Form) -> bool:
    created = form.get("created")
    if isinstance(created, str):
        return thing["created"] == as_int(created, "created")
    bounds = {name: as_int(value, "created") for name, value in as_form(created).items()}
    at = thing["created"]
    return (
        at > bounds.get("gt", at - 1)
        and at >= bounds.get("gte", at)
        and at < bounds.get("lt", at + 1)
        and at <= bounds.get("lte", at)
    )
