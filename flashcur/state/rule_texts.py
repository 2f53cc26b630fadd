"""Rules as texts of a page: the list, and what the form says of itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any

from flashcur.domain.ages import allowance
from flashcur.domain.frames import Frame
from flashcur.domain.plans import CHANNEL_NAMES, Channel, least_plan, shown_from_ms
from flashcur.domain.rules.condition import Fault, InterestMove, PriceCross, PriceMove
from flashcur.domain.rules.current import Present, Unknown
from flashcur.domain.rules.firing import WINDOW_WORDS
from flashcur.domain.rules.often import Calmer, threshold_of, threshold_text
from flashcur.domain.rules.past import WEEK_DAYS
from flashcur.domain.rules.prices import COARSE_S
from flashcur.domain.rules.rule import Definition
from flashcur.domain.rules.sentence import condition_text, duration, sentence
from flashcur.domain.rules.share import to_link
from flashcur.domain.signals.words import span_text
from flashcur.models import RuleRecord
from flashcur.services.alerts.alerts import PRECISION_H, Precision
from flashcur.services.alerts.certificates import REASONS, Certificate
from flashcur.services.alerts.reach import Way, reach
from flashcur.services.alerts.rule_limits import kept_from_firing
from flashcur.services.alerts.rules import active_count
from flashcur.services.kit.clock import from_ms
from flashcur.state.reading import Reader
from flashcur.state.rule_drafts import KEEP, Draft, scope_name
from flashcur.state.signal_texts import moment, wall_clock

Texts = dict[str, str]

_WHY = {
    "owner": "Paused by you.",
    "plan": "Paused: you are over your plan’s number of rules. Pause another one or upgrade, and this one resumes.",
    "delisted": "Paused: its contract is no longer traded here.",
    "watchlist": "Paused: its watchlist was deleted. Edit the rule to choose another.",
    "fired": "Done: it fired once, as you asked.",
    "expired": "Done: its end date has passed.",
}
_NOUNS = {
    "price": "price",
    "move": "price",
    "volume": "volume",
    "funding": "funding rate",
    "interest": "open interest",
    "signal": "signal",
}
"""By kind of condition, what it measures."""
_SELDOM_MIN = allowance("open_interest").cadence_ms(False) // 60_000
_STOPPED = {"paused": "it is paused", "done": "it is done"}
_LATEST_MS = 253_402_300_800_000
"""The year 10000, where dates end."""
JUST_BEGUN_S = 60
"""Until a rule has been looked after for so long today, its silence says nothing."""
EVERY_CONTRACT = "Every crypto contract that trades here, including new listings."
"""What a rule on all contracts watches."""
_UNREADABLE = "This rule comes from another version of FlashCur and no longer runs."


def list_vars(
    owned: Sequence[RuleRecord],
    precision: Mapping[str, Precision],
    watched: Mapping[str, Certificate],
    known: Mapping[Channel, Way],
    reader: Reader,
    often: Mapping[str, Calmer] | None = None,
    too_new: Callable[[Definition], str] = lambda definition: "",
) -> dict[str, Any]:
    """The vars of `RulesState` for the list of an account's rules.

    Each rule: `id`, `name` (empty without one), `sentence`, `why`, `fires`, `precision`, `watched`, `reach`, `warning`
    (`1` where it is one), `snoozed` (until when), `ends`, `urgent`, `note`, `link` (which another person opens as their
    draft), `often` (that it fires too often, and what is offered), `use` (that threshold) and `calmer` (where the
    form has it).
    `too_new` says how many contracts of a definition are too new to be judged.
    """
    lists = () if reader.visitor.account is None else reader.visitor.account.lists
    names = {each.id: each.name for each in lists}
    muted = _muted(reader)
    told: dict[str, list[Texts]] = {"active": [], "paused": [], "done": []}
    for each in owned:
        row = _row(each, precision.get(each.id), watched.get(each.id), known, names, muted, reader, too_new)
        row |= _often(each, (often or {}).get(each.id))
        told.get(each.status, told["done"]).append(row)
    active, most = active_count(owned, reader.plan), reader.plan.rules
    return {**told, "room": f"{active:,} of {most:,}", "full": active >= most}


def channel_texts(known: Mapping[Channel, Way]) -> list[Texts]:
    """Each channel but the app, for the form: `channel`, `name`, `state`, `why`."""
    return [
        {
            "channel": way.channel,
            "name": CHANNEL_NAMES[way.channel],
            "state": way.state,
            "why": f"{way.why[:1].upper()}{way.why[1:]}." if way.why else "",
        }
        for way in known.values()
        if way.channel != "in-app"
    ]


def draft_texts(draft: Draft, lists: Mapping[str, str], ends: str = "") -> dict[str, Any]:
    """What the form says of itself: `sentence`, with a gap where something is wrong, and `link`, empty there.

    `ends` as `ends_text` says it.
    """
    return {
        "sentence": "" if draft.outline is None else said(draft.outline, lists, ends),
        "link": "" if draft.definition is None else shared_link(draft.definition),
    }


def ends_text(draft: Draft, zone: tzinfo) -> str:
    """When a rule ends that is written so: `in 7 days`, `on 5 Dec 2026, 13:05 UTC`; empty where it does not."""
    if draft.ends != KEEP:
        return f"in {duration(int(draft.ends))}" if draft.ends.isascii() and draft.ends.isdigit() else ""
    return f"on {moment(draft.ends_ms, zone)}" if 0 < draft.ends_ms < _LATEST_MS else ""


def shared_texts(definition: Definition, known: Collection[str]) -> Texts:
    """What a guest is shown of a rule that somebody shared: its `sentence`, and what it `watches`. Not its name, which
    is a stranger's words. `known`: symbols of the contracts that trade; empty while nobody knows."""
    symbol = definition.scope.symbol
    if definition.scope.kind != "symbol":
        watches = EVERY_CONTRACT
    elif known and symbol not in known:
        watches = f"{symbol}, which does not trade here now."
    else:
        watches = f"{symbol} only."
    return {"sentence": said(definition, {}), "watches": watches}


def present_texts(
    found: Sequence[Present], frame: Frame | None, zone: tzinfo = UTC, *, cadence_s: int = 1
) -> dict[str, Any]:
    """What the conditions measure now: `present`, one each with `text`, `met` (`yes`, `no` or empty) and, where there
    is no `text`, `why`; `as_of`, Unix ms; and `at`, that as a time of day where the visitor's plan is not live, else
    empty. `cadence_s` is the plan's."""
    marks = {True: "yes", False: "no", None: ""}
    as_of_ms = 0 if frame is None else frame.as_of_ms

    def why(unknown: Unknown | None) -> str:
        return "" if unknown is None else unknown_text(unknown, as_of_ms, zone, cadence_s)

    told = [{"text": each.text, "met": marks[each.met], "why": why(each.unknown)} for each in found]
    at = "" if cadence_s == 1 or not as_of_ms else f"{from_ms(as_of_ms).astimezone(zone):%H:%M %Z}"
    return {"present": told, "as_of": as_of_ms, "at": at}


def unknown_text(unknown: Unknown, now_ms: int, zone: tzinfo, cadence_s: int) -> str:
    """Why it is not known at `now_ms` (Unix ms) what a condition measures, and by when it is shown."""
    condition = unknown.condition
    noun = _NOUNS[condition.kind]
    if unknown.why == "plan":
        return f"Open interest comes with {least_plan('open_interest').title}."
    if unknown.why == "old":
        return f"Not known now: the exchange has sent no new {noun} lately, and rules ignore old ones."
    if unknown.why == "untold":
        if cadence_s == 1:
            return "Not known yet: FlashCur has just started. You will see it here within a minute."
        return f"Not shown yet: your plan shows it from {_by(shown_from_ms(cadence_s, now_ms + 1), now_ms, zone)}."
    by = _by(shown_from_ms(cadence_s, max(unknown.known_ms, now_ms)), now_ms, zone)
    if isinstance(condition, PriceMove | InterestMove):
        window = WINDOW_WORDS[condition.window_s]
        if unknown.why == "seldom":
            return (
                f"Not known: the {noun} of smaller contracts is updated every {_SELDOM_MIN} minutes, too seldom for a"
                f" window of {window}. Choose a longer one."
            )
        # Then its exchange is asked for what was before (`engine.rule_windows`).
        sooner = ", or soon after you save the rule" if noun == "price" and condition.window_s >= COARSE_S else ""
        return f"Not known yet: FlashCur has watched the {noun} for less than {window}. It will know by {by}{sooner}."
    return f"Not known yet: the {noun} of the whole hour before is missing. You will see it here by {by}."


def _by(at_ms: int, now_ms: int, zone: tzinfo) -> str:
    """A time of day from now on, to the minute that has begun by then."""
    at, now = (from_ms(each).astimezone(zone) for each in (-(-at_ms // 60_000) * 60_000, now_ms))
    return f"{at:%H:%M %Z}{'' if at.date() == now.date() else ' tomorrow'}"


def said_of_tests(count: int) -> str:
    """What is said of test messages that were just written down."""
    if count == 1:
        return "A test message is on its way. Follow it under Messages."
    return f"{count:,} test messages are on their way. Follow them under Messages."


def said_of_browser_test() -> str:
    """What is said instead where a rule reaches nobody outside the browser."""
    return "Browser notifications need no test message: you can show one under Channels."


def said(definition: Definition, lists: Mapping[str, str], ends: str = "") -> str:
    """The rule as one sentence, and when it `ends` if that is to be said; no number is parted from its unit at a line's
    end."""
    return with_units_kept(sentence(definition, scope_name(definition.scope, lists), ends))


def with_units_kept(text: str) -> str:
    """Text in which no number is parted from its unit at a line's end."""
    return text.replace(" %", "\u00a0%").replace(" USDT", "\u00a0USDT")


def shared_link(definition: Definition) -> str:
    """The path that another person opens as their own draft, without what is the owner's alone."""
    return f"/alerts?draft={to_link(definition)}"


def _row(
    rule: RuleRecord,
    precision: Precision | None,
    watched: Certificate | None,
    known: Mapping[Channel, Way],
    lists: Mapping[str, str],
    muted: str,
    reader: Reader,
    too_new: Callable[[Definition], str],
) -> Texts:
    zone, now_ms = reader.zone, reader.now_ms
    try:
        definition = Definition.from_json(rule.definition)
    except Fault:
        definition = None
    snoozed = rule.status == "active" and rule.snoozed_until_ms is not None and rule.snoozed_until_ms > now_ms
    never = kept_from_firing(definition, reader.plan)
    stopped = _STOPPED.get(rule.status, never) or ("it is snoozed" if snoozed else "")
    quiet = _quiet(reader, urgent=definition is not None and definition.urgent)
    told = reach(rule.channels, known, stopped=stopped, muted=muted, quiet=quiet)
    new = too_new(definition) if definition is not None and rule.status == "active" and not never else ""
    return {
        "id": rule.id,
        "version": str(rule.version),
        "name": "" if definition is None else definition.name,
        "note": "" if definition is None else definition.note,
        "urgent": "1" if definition is not None and definition.urgent else "",
        "sentence": _UNREADABLE if definition is None else said(definition, lists),
        "link": "" if definition is None else shared_link(definition),
        "why": _why(rule, never),
        "snoozed": moment(rule.snoozed_until_ms, zone) if snoozed and rule.snoozed_until_ms is not None else "",
        "ends": "" if rule.expires_ms is None or rule.status == "done" else moment(rule.expires_ms, zone),
        "fires": _fires(rule, zone),
        "precision": "" if definition is None else _precision(definition, precision),
        "watched": _watched(watched, rule.version, new),
        "reach": told.text,
        "warning": "1" if told.warning else "",
    }


def _why(rule: RuleRecord, never: str) -> str:
    if rule.status == "active":
        return ""
    if rule.why == "plan" and never:
        # Room alone does not set it going.
        return f"Paused: {never}."
    return _WHY.get(rule.why, "")


def _muted(reader: Reader) -> str:
    """Until when nothing leaves; empty where it does."""
    account = reader.visitor.account
    until_ms = None if account is None else account.alerts.muted_until_ms
    return moment(until_ms, reader.zone) if until_ms is not None and until_ms > reader.now_ms else ""


def _quiet(reader: Reader, *, urgent: bool) -> str:
    """In which hours its messages wait; empty where they never do."""
    account = reader.visitor.account
    if account is None or not account.alerts.quiet or (urgent and account.alerts.urgent_passes):
        return ""
    return f"from {wall_clock(account.alerts.quiet_from_min)} to {wall_clock(account.alerts.quiet_until_min)}"


def _fires(rule: RuleRecord, zone: tzinfo) -> str:
    if not rule.fires:
        return "Has not fired yet."
    times = "once" if rule.fires == 1 else "twice" if rule.fires == 2 else f"{rule.fires:,} times"
    last = "" if rule.fired_ms is None else f", last on {moment(rule.fired_ms, zone)}"
    return f"Fired {times}{last}."


def _often(rule: RuleRecord, offered: Calmer | None) -> Texts:
    if offered is None:
        return {"often": "", "use": "", "calmer": ""}
    threshold = threshold_of(offered.definition)
    stricter = with_units_kept(condition_text(offered.definition.conditions[offered.at]))
    would = {0: "not have fired", 1: "have fired once at most"}.get(
        offered.would, f"have fired {offered.would:,} times at most"
    )
    return {
        "often": f"Fired {offered.fires:,} times in {WEEK_DAYS} days, which is often. With a stricter threshold "
        f"(“{stricter}”) it would {would}.",
        "use": with_units_kept(f"Use {threshold_text(offered.definition)}"),
        "calmer": f"/alerts?rule={rule.id}&stricter={0.0 if threshold is None else threshold:.12g}",
    }


def _watched(certificate: Certificate | None, version: int, new: str) -> str:
    """The silence certificate of today: how long it watched, how long it could not and why, how many contracts are too
    new (`new`), and what came nearest to this version of the rule."""
    if certificate is None or not certificate.watched_s + certificate.blind_s:
        return new
    if certificate.watched_s + certificate.blind_s < JUST_BEGUN_S:
        return f"It has just started watching. {new}".rstrip()
    seen = f"Watched for {_seconds_text(certificate.watched_s)} today"
    causes = [
        f"{_seconds_text(seconds)} because {REASONS.get(cause, cause)}"
        for cause, seconds in certificate.blind.items()
        if seconds >= 1
    ]
    blind = f", and was blind for {_listed(causes)}" if causes else ", without a gap"
    nearest = certificate.nearest
    near = f"Nearest miss: {nearest['symbol']}, {nearest['text']}." if nearest.get("version") == version else ""
    return " ".join(part for part in (f"{seen}{blind}.", new, near) if part)


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _seconds_text(seconds: float) -> str:
    """A length of time in whole seconds, at most: what is counted over a day has no fractions."""
    return f"{int(seconds)} s" if seconds < 60 else span_text(int(seconds) * 1000)


def _precision(definition: Definition, known: Precision | None) -> str:
    """How often the price went where the rule points, or rose where it points nowhere, as with signals."""
    if known is None or known.share is None:
        return ""
    points = any(isinstance(each, PriceCross | PriceMove) for each in definition.conditions)
    went = "gone its way" if points else "risen"
    of_all = f"{known.hits:,} of {known.known:,} ({known.share * 100:.0f} %)"
    return with_units_kept(f"{PRECISION_H} hours later the price had {went} in {of_all}.")
