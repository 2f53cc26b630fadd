"""`/alerts`: the rules of an account, and the form that one is written in.

Like `SignalState` it tells the tab and keeps nothing (see `state.signal`): rules are an account's, and a state outlives
its page.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import reflex as rx
from sqlmodel import Session

from flashcur.domain.frames import Frame
from flashcur.domain.plans import PLANS
from flashcur.domain.rules.condition import Fault
from flashcur.domain.rules.current import present
from flashcur.domain.rules.measured import UNMEASURED
from flashcur.domain.rules.newness import is_too_new, too_new_text
from flashcur.domain.rules.often import with_threshold
from flashcur.domain.rules.rule import Definition, Scope
from flashcur.domain.rules.sentence import duration
from flashcur.domain.rules.share import from_link
from flashcur.domain.signals.signal import Origin
from flashcur.domain.texts import lowered
from flashcur.domain.ticks import Instrument
from flashcur.domain.watchlists import valid_symbol
from flashcur.errors import NotFound, Refusal, SignInNeeded
from flashcur.models import Account
from flashcur.services.accounts.sessions import Caller
from flashcur.services.accounts.watchlists import ListView
from flashcur.services.accounts.wiring import Accounts
from flashcur.services.alerts import alerts, certificates, rules
from flashcur.services.alerts.often import too_often
from flashcur.services.alerts.places import OURS
from flashcur.services.alerts.reach import Way, ways
from flashcur.services.kit.clock import from_ms
from flashcur.services.kit.time_zones import zone_of as time_zone
from flashcur.services.notify.channel import Channel as Sender
from flashcur.services.records.instrument_sets import load_young
from flashcur.state import visit
from flashcur.state.notice import refuse, say
from flashcur.state.reading import Reader, passes, read, reader_of, zone_of
from flashcur.state.rule_drafts import Draft, blank_form, form_of, read_draft
from flashcur.state.rule_preview import Previews, Wanted
from flashcur.state.rule_texts import (
    channel_texts,
    draft_texts,
    ends_text,
    list_vars,
    present_texts,
    said_of_browser_test,
    said_of_tests,
    shared_texts,
)
from flashcur.state.signal_texts import moment
from flashcur.state.visit import act, tell, text
from flashcur.state.wire.defaults import default_vars

SNOOZES_H = (1, 8, 24)
"""How long a rule can be snoozed from the list, in hours."""
MOST_ADDRESS = 6_000
"""Characters of what opens the form; a shared rule is in it."""


class RulesState(rx.State):
    """Every var is a placeholder; what they hold is in `state.rule_texts`."""

    known: bool = False
    """Whether the list was told."""
    problem: str = ""
    """Why it could not be told."""
    passes: bool = False
    """Whether it is worth asking again after a while."""
    active: list[dict[str, str]] = []
    """Rules that are evaluated, the newest first; see `rule_texts.list_vars`."""
    paused: list[dict[str, str]] = []
    done: list[dict[str, str]] = []
    room: str = ""
    """How many more may be active."""
    full: bool = False
    """Whether none may."""
    form: dict[str, Any] = {}
    """What the form begins with: `asked` (what opened it), `number`, `form`, `rule`, `version`, `ends` (the end that
    the rule has, in words), `channels`, `contracts`, and where it cannot be opened `problem`, `passes`, `link`,
    `link_text`."""
    shared: dict[str, str] = {}
    """A rule that somebody shared, for who has no account: `link`, `sentence`, `watches`, or `problem`."""
    checked: dict[str, Any] = {}
    """What is said of the form as it was sent last: `number`, `sentence`, `faults`, `present`, `problem`."""
    saved: dict[str, Any] = {}
    """What became of saving it: `number`, `rule`, `problem`, `field`, `link`, `link_text`."""

    past: dict[str, Any] = {}
    """How often it would have fired; see `rule_preview.texts`."""

    @rx.event
    async def show(self) -> None:
        """Tell the list."""
        told: dict[str, Any]
        try:
            told = {**await read(self, lambda session, reader: _list(session, reader, _senders())), "known": True}
        except Refusal as refusal:
            told = {"problem": str(refusal), "passes": passes(refusal)}
        blank = {name: value for name, value in default_vars(RulesState).items() if name not in _FORM}
        # A list that was told stays while it cannot be told anew.
        tell(self, {RulesState: {**(blank if "known" in told else {}), **told}})

    @rx.event
    async def open_form(self, asked: str) -> None:
        """Tell what the form begins with. `asked` is what the address says: `rule=new` with a `symbol` or `like` the
        id of a rule, `rule=` an id, where `stricter` is another threshold for it, or `draft=` a rule that somebody
        shared."""
        told: dict[str, Any] = {"asked": str(asked)[:MOST_ADDRESS], "number": _number()}
        try:
            # What stands for NUL or half a character in an address is that only once it is read.
            params = {name: text(value, MOST_ADDRESS) for name, value in parse_qsl(text(asked, MOST_ADDRESS))}
            told |= await read(self, lambda session, reader: _form(session, reader, params, _senders()))
        except Refusal as refusal:
            told |= _problem(refusal)
        tell(self, {RulesState: {"form": told}})

    @rx.event
    async def show_shared(self, link: str) -> None:
        """Tell a guest which rule they were sent (`link` is what `draft=` has in the address)."""
        told = {"link": str(link)[:MOST_ADDRESS]}
        try:
            told |= shared_texts(_shared(text(link, MOST_ADDRESS)), visit.known_contracts())
        except Refusal as refusal:
            told["problem"] = str(refusal)
        tell(self, {RulesState: {"shared": told}})

    @rx.event
    async def check(self, draft: str) -> None:
        """Say the form back as a sentence, with what is wrong in it and what its conditions measure now."""
        told: dict[str, Any] = {}
        try:
            found = read_draft(draft, visit.known_contracts())
            told = {"number": found.number, **self._checked(found)}
        except Refusal as refusal:
            told = {"problem": str(refusal), "passes": passes(refusal)}
        tell(self, {RulesState: {"checked": told}})

    @rx.event
    async def preview(self, draft: str) -> None:
        """Say how often the rule would have fired, and what followed: as it is worked out, and once it is."""
        try:
            found = read_draft(draft, visit.known_contracts())
            reader = reader_of(self)
        except Refusal as refusal:
            tell(self, {RulesState: {"past": {"state": "cannot", "reasons": [str(refusal)]}}})
            return
        runtime, account = visit.runtime(), reader.visitor.account
        if found.definition is None or account is None or runtime is None or runtime.database is None:
            why = "Sign in to see the past." if account is None else "First put right what the form says is wrong."
            tell(self, {RulesState: {"past": {"number": found.number, "state": "cannot", "reasons": [why]}}})
            return
        wanted = Wanted(
            found.number,
            account.id,
            visit.client_of(self).network,
            found.definition,
            _watched(found.definition.scope, account.lists, runtime.hub.live),
            reader.exchange,
            reader.demo,
            reader.now_ms,
            reader.zone,
            reader.plan.open_interest,
            found.asks,
        )
        tell_tab = visit.teller(self)
        previews.begin(
            self.router.session.session_id,
            runtime.database,
            wanted,
            lambda told: tell_tab({RulesState: {"past": told}}),
        )

    @rx.event
    async def cancel_preview(self) -> None:
        """End what `preview` works out for this tab."""
        previews.cancel(self.router.session.session_id)

    @rx.event
    async def save(self, draft: str) -> None:
        """Keep the rule that the form says: a new one, or one that is there, written anew."""
        told: dict[str, Any] = {}

        async def work(accounts: Accounts, caller: Caller) -> tuple[str, str, dict[str, str]]:
            found = read_draft(draft, visit.known_contracts())
            told["number"] = found.number
            if found.faults or found.definition is None:
                tell(self, {RulesState: {"checked": {"number": found.number, **self._checked(found)}}})
                raise Refusal("Fix the marked fields first.")
            rule_id, done = await _save(accounts, caller, found)
            said, more = await _send_test(accounts, caller, found.channels) if found.test else ("", {})
            return rule_id, f"{done} {said}".rstrip(), more

        try:
            rule_id, said, more = await act(self, work, "Sign in to save this rule. A free account is enough.")
        except Refusal as refusal:
            told |= {**_problem(refusal), "field": refusal.field, "guest": isinstance(refusal, SignInNeeded)}
        else:
            told["rule"] = rule_id
            await say(self, said, **more)
        tell(self, {RulesState: {"saved": told}})

    @rx.event
    async def pause(self, rule_id: str) -> None:
        """Have a rule evaluated no more."""
        await self._do(lambda accounts, caller: accounts.rules.pause(caller, text(rule_id, 64)), "Paused.")

    @rx.event
    async def resume(self, rule_id: str) -> None:
        """Set a rule going again."""
        await self._do(
            lambda accounts, caller: accounts.rules.resume(caller, text(rule_id, 64), visit.watchable_contracts()),
            "The rule is active again.",
        )

    @rx.event
    async def snooze(self, rule_id: str, hours: int) -> None:
        """Have a rule fire nothing for so many hours."""

        async def work(accounts: Accounts, caller: Caller) -> None:
            # A socket sends what it likes.
            if type(hours) is not int or hours not in SNOOZES_H:
                raise Refusal("A rule can be snoozed for 1, 8 or 24 hours.")
            await accounts.rules.snooze(caller, text(rule_id, 64), hours * 3_600_000)

        await self._do(work, f"Snoozed for {duration(hours * 3_600)}.")

    @rx.event
    async def delete(self, rule_id: str) -> None:
        """Delete a rule."""
        await self._do(lambda accounts, caller: accounts.rules.delete(caller, text(rule_id, 64)), "Rule deleted.")

    def _checked(self, draft: Draft) -> dict[str, Any]:
        visitor = visit.known_visitor(self)
        lists = () if visitor.account is None else visitor.account.lists
        told: dict[str, Any] = {
            "faults": draft.faults,
            "contradicts": draft.contradicts,
            **draft_texts(draft, {x.id: x.name for x in lists}, ends_text(draft, zone_of(visitor))),
        }
        runtime = visit.runtime()
        if runtime is None or draft.outline is None:
            return told
        audience = runtime.visitors.audience(visitor)
        frame = runtime.hub.table(audience)
        scope = draft.outline.scope
        members = next((each.symbols for each in lists if each.id == scope.watchlist_id), ())
        snapshot = runtime.distances.shown(PLANS[audience], runtime.clock())
        live = runtime.hub.live
        same = snapshot is not None and live is not None and snapshot.is_of(live.exchange, demo=live.demo)
        ask = snapshot.measured if snapshot is not None and same else lambda symbol: UNMEASURED
        found = present(draft.conditions, scope, frame, members, ask)
        return told | present_texts(found, frame, zone_of(visitor), cadence_s=PLANS[audience].cadence_s)

    async def _do(self, work: Callable[[Accounts, Caller], Awaitable[None]], said: str) -> None:
        try:
            await act(self, work)
        except Refusal as refusal:
            await refuse(self, refusal)
        else:
            await say(self, said)


previews = Previews()
"""Those of this process."""

_KEPT_PAUSED = "Saved as paused."
_MESSAGES = {"link": "/alerts?tab=messages", "link_text": "Messages"}
"""Where it is told what became of a message."""

_BROWSER_CARD = {"link": "/alerts?tab=channels#channel-browser", "link_text": "See one"}
"""Where a browser notification is shown at a press."""

_FORM = frozenset({"form", "shared", "checked", "saved", "past"})
"""The vars that are not the list's."""


async def _save(accounts: Accounts, caller: Caller, draft: Draft) -> tuple[str, str]:
    """(the rule's id, what is said of it)."""
    now_ms, contracts = int(accounts.context.clock().timestamp() * 1000), visit.watchable_contracts()
    if not draft.rule_id:
        rule_id = await accounts.rules.create(
            caller, draft.written(now_ms, None), paused=draft.paused, contracts=contracts
        )
        return rule_id, _KEPT_PAUSED if draft.paused else "Saved. The rule is watching now."
    kept_ms = await accounts.rules.expiry(caller, draft.rule_id)
    await accounts.rules.edit(
        caller, draft.rule_id, draft.version, draft.written(now_ms, kept_ms), contracts, paused=draft.paused
    )
    return draft.rule_id, _KEPT_PAUSED if draft.paused else "Saved."


async def _send_test(accounts: Accounts, caller: Caller, channels: Sequence[str]) -> tuple[str, dict[str, str]]:
    """(what became of the test messages that were asked for with a rule, which is kept by now; where there is more)."""
    if "browser" in channels and set(channels) <= set(OURS):
        return said_of_browser_test(), _BROWSER_CARD
    try:
        sent = await accounts.channels.test_all(caller, channels)
    except Refusal as refusal:
        return f"No test message was sent: {lowered(str(refusal))}", {}
    return said_of_tests(len(sent)), _MESSAGES


def _watched(scope: Scope, lists: Iterable[ListView], live: Frame | None) -> tuple[str, ...]:
    """The contracts that a rule would watch now."""
    if live is None:
        return ()
    known = live.values("symbol")
    if scope.kind == "all":
        return tuple(known[i] for i in live.of("crypto"))
    if scope.kind == "symbol":
        return (scope.symbol,)
    return tuple(
        symbol for each in lists if each.id == scope.watchlist_id for symbol in each.symbols if symbol in known
    )


def _list(session: Session, reader: Reader, senders: Mapping[str, Sender]) -> dict[str, Any]:
    account = _account(session, reader)
    owned = rules.rules(session, account.id)
    new = load_young(session, Origin(reader.exchange, reader.demo), reader.now_ms)
    return list_vars(
        owned,
        alerts.precision(session, account.id),
        certificates.of_rules(session, [each.id for each in owned], reader.now_ms),
        ways(session, account, reader.plan, senders, from_ms(reader.now_ms)),
        reader,
        too_often(session, owned, reader.now_ms),
        _too_new(reader, new),
    )


def _too_new(reader: Reader, new: Sequence[Instrument]) -> Callable[[Definition], str]:
    """Says how many contracts of a rule are too new to be judged; `new` are those that may be."""
    account, runtime = reader.visitor.account, visit.runtime()
    # Most rules of an account watch the same.
    watched: dict[Scope, frozenset[str]] = {}

    def say(definition: Definition) -> str:
        if not new or account is None or runtime is None:
            return ""
        scope = definition.scope
        if scope not in watched:
            watched[scope] = frozenset(_watched(scope, account.lists, runtime.hub.live))
        symbols = watched[scope]
        count = sum(each.symbol in symbols and is_too_new(definition.conditions, each, reader.now_ms) for each in new)
        return too_new_text(count, len(symbols))

    return say


def _form(session: Session, reader: Reader, params: Mapping[str, str], senders: Mapping[str, Sender]) -> dict[str, Any]:
    account = _account(session, reader)
    known = ways(session, account, reader.plan, senders, from_ms(reader.now_ms))
    return {**_beginning(session, account, params), **_around(known)}


def _beginning(session: Session, account: Account, params: Mapping[str, str]) -> dict[str, Any]:
    if shared := params.get("draft"):
        return {"form": form_of(_shared(shared)) | _as_before(session, account)}
    wanted, like = params.get("rule", ""), params.get("like", "")
    if wanted == "new" and not like:
        return {"form": blank_form(params.get("symbol", "")[:64]) | _as_before(session, account)}
    found = rules.find(session, account.id, (like if wanted == "new" else wanted)[:64])
    try:
        definition = Definition.from_json(found.definition)
        if wanted != "new" and (stricter := params.get("stricter")):
            definition = with_threshold(definition, stricter)
        form = form_of(definition, found)
    except Fault:
        raise NotFound("This rule comes from another version of FlashCur and cannot be edited.") from None
    if wanted == "new":
        return {"form": {**form, "ends": "", "ends_ms": 0}}
    ends = "" if found.expires_ms is None else moment(found.expires_ms, time_zone(account.time_zone))
    return {"form": form, "ends": ends, "rule": found.id, "version": rules.revision(found), "status": found.status}


def _shared(link: str) -> Definition:
    """The rule of a shared link. Raises NotFound for one that was cut short, or that no page of ours made."""
    try:
        definition = from_link(link)
    except Fault:
        definition = None
    # Whoever makes a link by hand puts no words of theirs into our sentence.
    if definition is None or (definition.scope.kind == "symbol" and not _is_a_name(definition.scope.symbol)):
        raise NotFound("This link is broken. Ask for a new one, or write your own rule.")
    return definition


def _is_a_name(symbol: str) -> bool:
    """Whether it looks as all contracts' names do: letters and digits without case or signs, then USDT."""
    return valid_symbol(symbol) and symbol.isalnum() and symbol == symbol.upper() and symbol.endswith("USDT")


def _as_before(session: Session, account: Account) -> dict[str, Any]:
    """The channels of the newest rule: who has chosen once is asked to correct, not to choose again."""
    owned = rules.rules(session, account.id)
    return {"channels": [each for each in owned[0].channels if each != "in-app"]} if owned else {}


def _around(known: Mapping[Any, Way]) -> dict[str, Any]:
    return {"channels": channel_texts(known), "contracts": "|".join(sorted(visit.watchable_contracts()))}


def _account(session: Session, reader: Reader) -> Account:
    account = None if reader.visitor.account is None else session.get(Account, reader.visitor.account.id)
    if account is None:
        raise SignInNeeded("Sign in to see your rules.")
    return account


def _senders() -> Mapping[str, Sender]:
    """The channels that this server sends by."""
    runtime = visit.runtime()
    return {} if runtime is None else runtime.senders


def _problem(refusal: Refusal) -> dict[str, Any]:
    link, link_text = refusal.way_out
    return {"problem": str(refusal), "passes": passes(refusal), "link": link, "link_text": link_text}


def _number() -> int:
    return time.time_ns() // 1_000_000
