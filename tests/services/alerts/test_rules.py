"""An account's rules, on both kinds of database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from flashcur.domain.plans import PLANS, Channel
from flashcur.domain.rules.condition import InterestMove, OnSignal, PriceCross
from flashcur.domain.rules.rule import Definition, Scope
from flashcur.errors import Conflict, NotFound, PlanNeeded, Refusal, SignInNeeded
from flashcur.models import AccountChange, RuleRecord
from flashcur.services.accounts import watchlists
from flashcur.services.alerts import rules
from flashcur.services.alerts.rules import MOST_RULES, Rules, Written, revision
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import ADDRESS, Person, Services

ABOVE = Definition((PriceCross("above", 65_000.0),), Scope("symbol", symbol="BTCUSDT"))


@pytest.fixture
def services(settings: Settings, database: Database) -> Iterator[Services]:
    services = Services(settings, database)
    yield services
    services.close()


@pytest.fixture
def acts(services: Services) -> Rules:
    return Rules(services.context)


def written(definition: Definition = ABOVE, *channels: Channel, expires_ms: int | None = None) -> Written:
    return Written(definition, channels, expires_ms)


def of(services: Services, person: Person) -> list[RuleRecord]:
    with services.database.session(readonly=True) as session:
        return list(rules.rules(session, person.account_id))


def one(services: Services, person: Person) -> RuleRecord:
    (found,) = of(services, person)
    return found


async def test_a_rule_is_made_changed_paused_set_going_and_deleted(services: Services, acts: Rules) -> None:
    ann = services.person()
    rule_id = await acts.create(ann.caller, written(ABOVE, "browser"))
    made = one(services, ann)
    assert (made.status, made.why, made.version, made.channels) == ("active", "", 1, ["in-app", "browser"])
    assert Definition.from_json(made.definition) == ABOVE
    assert made.created_ms == made.changed_ms == services.clock.ms

    services.clock.forward(minutes=1)
    await acts.edit(ann.caller, rule_id, revision(one(services, ann)), written(replace(ABOVE, hold_s=30)))
    edited = one(services, ann)
    assert (edited.version, edited.changed_ms, edited.channels) == (2, services.clock.ms, ["in-app"])

    services.clock.forward(minutes=1)
    await acts.pause(ann.caller, rule_id)
    paused = one(services, ann)
    assert (paused.status, paused.why) == ("paused", "owner")
    services.clock.forward(minutes=1)
    await acts.resume(ann.caller, rule_id)
    going = one(services, ann)
    # It starts anew, though it says the same as before.
    assert (going.status, going.why, going.version, going.changed_ms) == ("active", "", 2, services.clock.ms)

    await acts.delete(ann.caller, rule_id)
    assert of(services, ann) == []


async def test_what_says_the_same_goes_on(services: Services, acts: Rules) -> None:
    ann = services.person(plan="pro")
    rule_id = await acts.create(ann.caller, written())
    before = one(services, ann)
    services.clock.forward(minutes=5)
    await acts.edit(ann.caller, rule_id, revision(one(services, ann)), written(ABOVE, "email"))
    after = one(services, ann)
    assert (after.version, after.changed_ms) == (before.version, before.changed_ms)
    assert after.channels == ["in-app", "email"]


async def test_whoever_edits_what_another_tab_has_changed_is_told(services: Services, acts: Rules) -> None:
    ann = services.person()
    rule_id = await acts.create(ann.caller, written())
    begun = revision(one(services, ann))
    await acts.edit(ann.caller, rule_id, begun, written(replace(ABOVE, note="first")))
    with pytest.raises(Conflict):
        await acts.edit(ann.caller, rule_id, begun, written(replace(ABOVE, note="second")))
    assert one(services, ann).definition["note"] == "first"


@pytest.mark.parametrize("what", ["channels", "end"])
async def test_whoever_would_undo_channels_or_an_end_of_another_tab_is_told(
    what: str, services: Services, acts: Rules
) -> None:
    ann = services.person()
    rule_id = await acts.create(ann.caller, written())
    begun = revision(one(services, ann))
    first = written(ABOVE, "browser") if what == "channels" else written(expires_ms=services.clock.ms + 60_000)
    await acts.edit(ann.caller, rule_id, begun, first)
    after = one(services, ann)
    with pytest.raises(Conflict, match="another tab"):
        await acts.edit(ann.caller, rule_id, begun, written())
    assert (one(services, ann).channels, one(services, ann).expires_ms) == (after.channels, after.expires_ms)
    # What goes by no version starts nothing anew.
    assert after.version == 1
    await acts.edit(ann.caller, rule_id, revision(after), written())


async def test_over_the_plan_s_number_a_rule_is_refused_or_kept_paused(services: Services, acts: Rules) -> None:
    ann = services.person()
    most = PLANS["free"].rules
    ids = [await acts.create(ann.caller, written()) for _ in range(most)]
    with pytest.raises(PlanNeeded, match="Free allows 3 active rules, and you have 3") as refused:
        await acts.create(ann.caller, written())
    assert refused.value.field == "room"
    extra = await acts.create(ann.caller, written(), paused=True)
    with pytest.raises(PlanNeeded):
        await acts.resume(ann.caller, extra)
    await acts.pause(ann.caller, ids[0])
    await acts.resume(ann.caller, extra)
    with pytest.raises(PlanNeeded):
        await acts.resume(ann.caller, ids[0])
    assert [each.status for each in of(services, ann)] == ["active", "active", "active", "paused"]


@pytest.mark.parametrize("how", ["pause", "delete"])
async def test_the_oldest_rule_that_waits_takes_the_room_that_its_owner_makes(
    how: str, services: Services, acts: Rules
) -> None:
    ann = services.person(plan="pro")
    ids = [await acts.create(ann.caller, written()) for _ in range(PLANS["free"].rules + 2)]
    services.give(ann.account_id, "free")
    assert [each.why for each in of(services, ann)] == ["plan", "plan", "", "", ""]
    services.clock.forward(minutes=1)
    await (acts.pause if how == "pause" else acts.delete)(ann.caller, ids[0])
    found = {each.id: each for each in of(services, ann)}
    assert [(found[each].status, found[each].why) for each in ids[1:]] == [("active", "")] * 3 + [("paused", "plan")]
    # It begins anew, and the others go on.
    assert found[ids[3]].changed_ms == services.clock.ms > found[ids[2]].changed_ms
    if how == "pause":
        assert found[ids[0]].why == "owner"


async def test_one_kept_paused_for_want_of_room_goes_on_once_there_is(services: Services, acts: Rules) -> None:
    ann = services.person(plan="free")
    by_hand = await acts.create(ann.caller, written(), paused=True)
    for _ in range(PLANS["free"].rules):
        await acts.create(ann.caller, written())
    with pytest.raises(PlanNeeded, match="keep this one paused"):
        await acts.create(ann.caller, written())
    waiting = await acts.create(ann.caller, written(), paused=True)
    found = {each.id: each for each in of(services, ann)}
    assert (found[waiting].status, found[waiting].why) == ("paused", "plan")
    # It is to watch one day, so it has to be one that can.
    with pytest.raises(Refusal, match="does not trade here now"):
        await acts.create(ann.caller, written(), paused=True, contracts=frozenset({"ETHUSDT"}))

    services.give(ann.account_id, "pro")
    found = {each.id: each for each in of(services, ann)}
    assert (found[waiting].status, found[waiting].why) == ("active", "")
    assert (found[by_hand].status, found[by_hand].why) == ("paused", "owner")


async def test_one_that_has_fired_is_edited_without_room_and_kept_paused(services: Services, acts: Rules) -> None:
    ann = services.person()
    fired, *_ = [await acts.create(ann.caller, written(replace(ABOVE, mode="once"))) for _ in range(3)]
    with services.database.session() as session:
        row = session.get_one(RuleRecord, fired)
        row.status, row.why, row.fired_ms = "done", "fired", services.clock.ms
    third = await acts.create(ann.caller, written())
    services.clock.forward(minutes=1)
    anew = written(replace(ABOVE, mode="once", hold_s=30), "browser")

    def begun() -> int:
        return revision(next(each for each in of(services, ann) if each.id == fired))

    with pytest.raises(PlanNeeded, match="keep this one paused"):
        await acts.edit(ann.caller, fired, begun(), anew)
    await acts.edit(ann.caller, fired, begun(), anew, paused=True)
    found = {each.id: each for each in of(services, ann)}
    kept = found[fired]
    assert (kept.status, kept.why, kept.version, kept.channels) == ("paused", "plan", 2, ["in-app", "browser"])
    assert [found[each].status for each in found if each != fired] == ["active"] * 3
    # As one that was kept paused when it was made, it goes on once there is room, from then on.
    services.clock.forward(minutes=1)
    await acts.delete(ann.caller, third)
    going = next(each for each in of(services, ann) if each.id == fired)
    assert (going.status, going.why, going.changed_ms) == ("active", "", services.clock.ms)


async def test_one_that_is_kept_paused_though_there_is_room_waits_for_its_owner(
    services: Services, acts: Rules
) -> None:
    ann = services.person()
    fired = await acts.create(ann.caller, written(replace(ABOVE, mode="once")))
    with services.database.session() as session:
        row = session.get_one(RuleRecord, fired)
        row.status, row.why = "done", "fired"
    await acts.edit(ann.caller, fired, revision(one(services, ann)), written(), paused=True)
    assert (one(services, ann).status, one(services, ann).why) == ("paused", "owner")


async def test_an_account_keeps_a_thousand_rules(services: Services, acts: Rules, database: Database) -> None:
    ann = services.person()
    with database.session() as session:
        session.add_all(
            RuleRecord(
                account_id=ann.account_id,
                definition=ABOVE.to_json(),
                status="paused",
                why="owner",
                position=number,
                created_ms=0,
                changed_ms=0,
            )
            for number in range(MOST_RULES)
        )
    with pytest.raises(Refusal, match="up to 1,000 rules"):
        await acts.create(ann.caller, written(), paused=True)


async def test_channels_are_the_plan_s(services: Services, acts: Rules) -> None:
    ann = services.person(plan="pro")
    with pytest.raises(PlanNeeded, match="Telegram comes with Elite") as refused:
        await acts.create(ann.caller, written(ABOVE, "telegram"))
    assert refused.value.field == "channels"
    rule_id = await acts.create(ann.caller, written(ABOVE, "email"))
    services.give(ann.account_id, "free")
    # What the smaller plan lacks stays where it was, and comes back with the upgrade.
    await acts.edit(ann.caller, rule_id, revision(one(services, ann)), written(replace(ABOVE, note="x"), "email"))
    assert one(services, ann).channels == ["in-app", "email"]
    with pytest.raises(PlanNeeded):
        await acts.edit(ann.caller, rule_id, revision(one(services, ann)), written(ABOVE, "email", "web-push"))


@pytest.mark.parametrize(
    "condition", [InterestMove("up", 10.0, 3_600), OnSignal("open_interest")], ids=["change", "signal"]
)
async def test_a_rule_that_the_plan_keeps_from_firing_is_not_called_active(
    condition: Any, services: Services, acts: Rules
) -> None:
    ann, bea = services.person(), services.person("bea@example.com", plan="pro")
    rule = written(replace(ABOVE, conditions=(*ABOVE.conditions, condition)))
    with pytest.raises(PlanNeeded, match="Open interest comes with Pro") as refused:
        await acts.create(ann.caller, rule)
    assert refused.value.field == "conditions.1.kind"
    rule_id = await acts.create(ann.caller, rule, paused=True)
    with pytest.raises(PlanNeeded):
        await acts.resume(ann.caller, rule_id)
    await acts.create(bea.caller, rule)


async def test_a_rule_that_can_never_fire_gives_way_to_one_that_can(services: Services, acts: Rules) -> None:
    """After a downgrade, and where it waits for room."""
    ann = services.person(plan="pro")
    interest = replace(ABOVE, conditions=(InterestMove("up", 10.0, 3_600),))
    blind = [await acts.create(ann.caller, written(interest)) for _ in range(2)]
    able = [await acts.create(ann.caller, written()) for _ in range(2)]
    services.give(ann.account_id, "free")

    def states(*ids: str) -> list[tuple[str, str]]:
        found = {each.id: (each.status, each.why) for each in of(services, ann)}
        return [found[each] for each in ids]

    going, waits = ("active", ""), ("paused", "plan")
    assert states(*blind, *able) == [going, waits, going, going]
    # It takes no room: the third that can fire is no third too many.
    able.append(await acts.create(ann.caller, written()))
    assert states(*blind, *able) == [waits, waits, going, going, going]
    with pytest.raises(PlanNeeded, match="Free allows 3 active rules, and you have 3"):
        await acts.create(ann.caller, written())
    # Room does not set it going, only what makes it fire.
    await acts.pause(ann.caller, able[0])
    assert states(*blind, able[0]) == [waits, waits, ("paused", "owner")]
    waiting = next(each for each in of(services, ann) if each.id == blind[1])
    with pytest.raises(PlanNeeded, match="Open interest comes with Pro"):
        await acts.edit(ann.caller, blind[1], revision(waiting), written(replace(interest, note="x")))
    await acts.edit(ann.caller, blind[1], revision(waiting), written())
    assert states(*blind) == [waits, going]
    services.give(ann.account_id, "pro")
    assert states(*blind) == [going, going]


async def test_what_could_not_fire_needs_room_once_it_can(services: Services, acts: Rules) -> None:
    ann = services.person(plan="pro")
    interest = written(replace(ABOVE, conditions=(InterestMove("up", 10.0, 3_600),)))
    await acts.create(ann.caller, interest)
    services.give(ann.account_id, "free")
    with services.database.session() as session:
        # As an earlier version left them.
        session.add_all(
            RuleRecord(
                account_id=ann.account_id,
                definition=ABOVE.to_json(),
                status="active",
                position=number,
                created_ms=0,
                changed_ms=0,
            )
            for number in range(2, 5)
        )
    blind = of(services, ann)[-1]
    assert blind.status == "active"
    with pytest.raises(PlanNeeded, match="Free allows 3 active rules, and you have 3"):
        await acts.edit(ann.caller, blind.id, revision(blind), written())


async def test_a_rule_on_a_contract_that_is_not_traded_is_not_called_active(services: Services, acts: Rules) -> None:
    ann = services.person()
    others = frozenset({"ETHUSDT"})
    with pytest.raises(Refusal, match="BTCUSDT does not trade here now") as refused:
        await acts.create(ann.caller, written(), contracts=others)
    assert refused.value.field == "scope.symbol"
    rule_id = await acts.create(ann.caller, written(), paused=True, contracts=others)
    with pytest.raises(Refusal) as refused:
        await acts.resume(ann.caller, rule_id, others)
    assert refused.value.field == "scope.symbol"
    # A paused one, too: whoever makes room for it would set it going.
    with pytest.raises(Refusal) as refused:
        await acts.edit(ann.caller, rule_id, revision(one(services, ann)), written(replace(ABOVE, note="x")), others)
    assert refused.value.field == "scope.symbol"
    await acts.resume(ann.caller, rule_id, frozenset({"BTCUSDT"}))
    with pytest.raises(Refusal) as refused:
        await acts.edit(ann.caller, rule_id, revision(one(services, ann)), written(ABOVE), others)
    assert refused.value.field == "scope.symbol"
    # While nobody knows which there are, none is called wrong.
    await acts.edit(ann.caller, rule_id, revision(one(services, ann)), written(ABOVE))


async def test_a_watchlist_is_the_owner_s(services: Services, acts: Rules, database: Database) -> None:
    ann, bea = services.person(), services.person("bea@example.com")
    with database.session() as session:
        list_id = watchlists.create(session, bea.account_id, PLANS["free"], "Hers", services.clock()).id
    rule = written(replace(ABOVE, scope=Scope("watchlist", watchlist_id=list_id)))
    with pytest.raises(Refusal, match="no longer exists") as refused:
        await acts.create(ann.caller, rule)
    assert refused.value.field == "scope.watchlist_id"
    await acts.create(bea.caller, rule)


async def test_nobody_touches_another_s_rule(services: Services, acts: Rules) -> None:
    ann, bea = services.person(), services.person("bea@example.com", plan="elite")
    rule_id = await acts.create(ann.caller, written())
    before = one(services, ann).model_dump()
    for act in (
        acts.edit(bea.caller, rule_id, 1, written(replace(ABOVE, note="mine"))),
        acts.pause(bea.caller, rule_id),
        acts.resume(bea.caller, rule_id),
        acts.snooze(bea.caller, rule_id, 3_600_000),
        acts.delete(bea.caller, rule_id),
        acts.delete(bea.caller, ""),
    ):
        with pytest.raises(NotFound, match="no longer exists"):
            await act
    assert one(services, ann).model_dump() == before


async def test_who_is_signed_out_changes_nothing(services: Services, acts: Rules) -> None:
    ann = services.person()
    rule_id = await acts.create(ann.caller, written())
    await services.profile.sign_out(ann.caller)
    with pytest.raises(SignInNeeded):
        await acts.delete(ann.caller, rule_id)
    assert one(services, ann).id == rule_id


async def test_a_snooze_ends_by_itself_or_when_its_owner_says_so(services: Services, acts: Rules) -> None:
    ann = services.person()
    rule_id = await acts.create(ann.caller, written())
    await acts.snooze(ann.caller, rule_id, 3_600_000)
    assert one(services, ann).snoozed_until_ms == services.clock.ms + 3_600_000
    await acts.resume(ann.caller, rule_id)
    assert one(services, ann).snoozed_until_ms is None
    for span_ms in (0, -1, 8 * 86_400_000):
        with pytest.raises(Refusal, match="up to 7 days"):
            await acts.snooze(ann.caller, rule_id, span_ms)
    await acts.pause(ann.caller, rule_id)
    with pytest.raises(Refusal, match="Only an active rule"):
        await acts.snooze(ann.caller, rule_id, 3_600_000)


async def test_an_end_lies_ahead_and_one_that_has_passed_is_taken_off(services: Services, acts: Rules) -> None:
    ann = services.person()
    now_ms = services.clock.ms
    for expires_ms in (now_ms, now_ms - 1, 2**53):
        with pytest.raises(Refusal) as refused:
            await acts.create(ann.caller, written(expires_ms=expires_ms))
        assert refused.value.field == "expires_ms"
    rule_id = await acts.create(ann.caller, written(expires_ms=now_ms + 1_000))
    services.clock.forward(minutes=1)
    with services.database.session() as session:
        found = rules.find(session, ann.account_id, rule_id)
        found.status, found.why = "done", "expired"
        session.add(found)
    await acts.resume(ann.caller, rule_id)
    going = one(services, ann)
    assert (going.status, going.why, going.expires_ms) == ("active", "", None)


async def test_a_rule_that_is_done_goes_on_when_it_is_edited(services: Services, acts: Rules) -> None:
    ann = services.person()
    rule_id = await acts.create(ann.caller, written(replace(ABOVE, mode="once")))
    with services.database.session() as session:
        found = rules.find(session, ann.account_id, rule_id)
        found.status, found.why = "done", "fired"
        session.add(found)
    await acts.edit(ann.caller, rule_id, revision(one(services, ann)), written(replace(ABOVE, mode="repeat")))
    assert (one(services, ann).status, one(services, ann).why) == ("active", "")


async def test_a_rule_of_another_version_is_refused_in_words(services: Services, acts: Rules) -> None:
    ann = services.person()
    rule_id = await acts.create(ann.caller, written(), paused=True)
    with services.database.session() as session:
        found = rules.find(session, ann.account_id, rule_id)
        found.definition = {"conditions": [{"kind": "moon"}]}
        session.add(found)
    with pytest.raises(Refusal, match="another version"):
        await acts.resume(ann.caller, rule_id)


async def test_every_change_is_told_once(services: Services, acts: Rules) -> None:
    ann = services.person()
    told = services.told
    rule_id = await acts.create(ann.caller, written())
    await acts.pause(ann.caller, rule_id)
    assert services.told == told + 2
    assert [each.account_id for each in services.rows(AccountChange)][-2:] == [ann.account_id] * 2


async def test_rules_are_in_the_account_s_data(services: Services, acts: Rules) -> None:
    ann = services.person(ADDRESS)
    await acts.create(ann.caller, written(ABOVE, "browser"))
    document = await services.profile.export(ann.caller)
    (told,) = document["rules"]
    assert told["definition"] == ABOVE.to_json()
    assert told["channels"] == ["in-app", "browser"]
    assert "account_id" not in told
