"""The outbox on both kinds of database: what is written, claimed, tried again, given up, held and forgotten."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from flashcur.errors import DeliveryError, Gone, Refused, TryAgainLater, Unanswered
from flashcur.models import AlertRecord, Delivery, Destination, PlacePause
from flashcur.services.kit.clock import from_ms
from flashcur.services.notify import destinations, outbox, pauses
from flashcur.services.notify.channel import Handed
from flashcur.services.notify.outbox import LEASE_MS
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import add_account
from tests.support.deliveries import HOUR, NOW, claim, delivery, ledger, put, statuses, stored, way


def fail(
    database: Database, claimed: outbox.Claimed, error: DeliveryError, now_ms: int = NOW, *, claim: str | None = None
) -> Delivery | None:
    row = claimed.delivery
    with database.session() as session:
        return outbox.mark_failed(session, row.key, row.claim if claim is None else claim, error, now_ms, chance=0.5)


def hand(database: Database, claimed: outbox.Claimed, handed: Handed | None = None, now_ms: int = NOW) -> Delivery:
    row = claimed.delivery
    with database.session() as session:
        found = outbox.mark_handed(session, row.key, row.claim, handed or Handed("p-1"), now_ms, now_ms)
    assert found is not None
    return found


def ids(claimed: list[outbox.Claimed]) -> list[int]:
    return [each.delivery.id or 0 for each in claimed]


def test_messages_are_written_with_the_transaction_that_causes_them(database: Database) -> None:
    rung: list[str] = []
    stop = outbox.on_written(lambda: rung.append("rung"))
    with contextlib.suppress(ZeroDivisionError), database.session() as session:
        outbox.write(session, [delivery()], NOW)
        _ = 1 / 0
    assert (statuses(database), rung) == ([], [])
    (first,) = put(database, delivery(key="a key"))
    (held,) = put(database, delivery(status="held"))
    (capped,) = put(database, delivery(status="capped", problem="200 a day"))
    assert rung == ["rung"]
    stop()
    put(database, delivery())
    assert rung == ["rung"]
    assert stored(database, first).key == "a key"
    assert ledger(database, first) == [("queued", NOW, "")]
    assert way(database, held) == ["held"]
    assert (ledger(database, capped), stored(database, capped).done_ms) == ([("capped", NOW, "200 a day")], NOW)


def test_a_key_stands_once(database: Database) -> None:
    put(database, delivery(key="one"))
    with pytest.raises(IntegrityError):
        put(database, delivery(key="one"))


def test_only_what_is_due_is_claimed_and_then_left_alone(database: Database) -> None:
    """Complaint 3: the lease is of each row, and longer than any send."""
    (first,) = put(database, delivery())
    put(database, delivery("chat 2", due_ms=NOW + 1000), delivery("chat 3", status="held"))
    assert ids(claim(database, NOW - 1)) == []
    (claimed,) = claim(database)
    assert (claimed.delivery.id, claimed.delivery.attempts, claimed.delivery.status) == (first, 1, "sending")
    assert claimed.delivery.due_ms == NOW + LEASE_MS
    with database.session(readonly=True) as session:
        assert outbox.due_channels(session, NOW) == set()
        assert outbox.due_channels(session, NOW + 1000) == {"telegram"}
    assert ids(claim(database, NOW + LEASE_MS - 1, channels=["email"])) == []
    assert first not in ids(claim(database, NOW + LEASE_MS - 1))


def test_what_a_dead_sender_left_is_claimed_again_and_the_ledger_says_so(database: Database) -> None:
    (only,) = put(database, delivery(key="k"))
    (before,) = claim(database)
    (after,) = claim(database, NOW + LEASE_MS)
    assert (after.delivery.id, after.delivery.attempts, after.delivery.key) == (only, 2, "k")
    assert after.delivery.claim != before.delivery.claim
    assert ledger(database, only)[1:] == [("uncertain", NOW + LEASE_MS, outbox.ABANDONED)]


def test_a_sender_whose_claim_has_ended_marks_no_failure(database: Database) -> None:
    """Complaint 3: a fencing token in the update."""
    (only,) = put(database, delivery())
    (slow,) = claim(database)
    (quick,) = claim(database, NOW + LEASE_MS)
    assert fail(database, slow, Refused("blocked")) is None
    assert fail(database, quick, Refused("no"), claim="") is None
    assert stored(database, only).status == "sending"
    assert hand(database, quick).status == "sent"
    assert fail(database, slow, Unanswered("timed out")) is None
    assert fail(database, quick, Unanswered("timed out")) is None
    assert way(database, only) == ["queued", "uncertain", "sent"]


def test_what_has_left_is_sent_even_if_its_claim_had_ended(database: Database) -> None:
    (only,) = put(database, delivery())
    (slow,) = claim(database)
    (quick,) = claim(database, NOW + LEASE_MS)
    assert hand(database, slow).status == "sent"
    assert fail(database, quick, DeliveryError("refused as a double")) is None
    assert claim(database, NOW + 2 * LEASE_MS) == []
    assert ledger(database, only)[-1] == ("sent", NOW, "Handed over after its claim had ended.")


def test_what_is_noted_twice_is_told_once(database: Database) -> None:
    (only,) = put(database, delivery())
    (claimed,) = claim(database)
    hand(database, claimed)
    hand(database, claimed)
    assert way(database, only) == ["queued", "sent"]


def test_the_urgent_go_first_then_the_longest_due(database: Database) -> None:
    late, early = put(database, delivery("a", due_ms=NOW), delivery("b", due_ms=NOW - 5))
    (urgent,) = put(database, delivery("c", urgent=True))
    assert ids(claim(database, room=2)) == [urgent, early]
    assert ids(claim(database, room=2)) == [late]


def test_a_claim_that_is_renewed_goes_on_and_one_that_was_taken_over_does_not(database: Database) -> None:
    (only,) = put(database, delivery(key="k"))
    (first,) = claim(database)
    half = NOW + LEASE_MS // 2

    def renewed(claimed: outbox.Claimed, until_ms: int) -> set[str]:
        with database.session() as session:
            return outbox.renew(session, {"k": claimed.delivery.claim}, until_ms)

    assert renewed(first, half + LEASE_MS) == {"k"}
    assert claim(database, NOW + LEASE_MS) == []
    (second,) = claim(database, half + LEASE_MS)
    assert renewed(first, NOW + 9 * LEASE_MS) == set()
    assert renewed(second, half + 3 * LEASE_MS) == {"k"}
    assert stored(database, only).due_ms == half + 3 * LEASE_MS
    with database.session() as session:
        outbox.mark_handed(session, "k", second.delivery.claim, Handed(), half, half)
    assert renewed(second, NOW + 9 * LEASE_MS) == set()


def test_what_one_that_died_had_claimed_waits_for_some_seconds() -> None:
    assert LEASE_MS <= 15_000


def test_of_each_recipient_one_at_a_time_in_their_order(database: Database) -> None:
    first, second, other = put(database, delivery("a"), delivery("a"), delivery("b"))
    assert ids(claim(database)) == [first, other]
    assert ids(claim(database, busy={("telegram", "a"), ("telegram", "b")})) == []
    assert ids(claim(database, busy={("email", "a")})) == [second]


def test_a_channel_with_much_to_do_takes_no_room_from_another(database: Database) -> None:
    """Complaint 24: one channel that hangs delays no other."""
    put(database, *(delivery(f"chat {number}", due_ms=NOW - 100) for number in range(50)))
    (mail,) = put(database, delivery("a@example.com", "email"))
    with database.session() as session:
        claimed = outbox.claim_due(session, NOW, {"telegram": 3, "email": 3, "slack": 3, "sms": 0})
    assert [each.delivery.channel for each in claimed].count("telegram") == 3
    assert mail in ids(claimed)


def test_accounts_that_have_used_their_share_wait(database: Database) -> None:
    with database.session() as session:
        ann, bob = (add_account(session, f"{name}@example.com", from_ms(NOW)) for name in ("ann", "bob"))
    put(database, *(delivery(f"chat {number}", account_id=ann, due_ms=NOW - 1) for number in range(3)))
    (of_bob,) = put(database, delivery("bob's", account_id=bob))
    assert ids(claim(database, room=1, busy_accounts={("telegram", ann), ("email", bob)})) == [of_bob]


def test_of_places_that_hang_no_more_are_taken_than_their_share(database: Database) -> None:
    put(database, *(delivery(f"hangs {number}", due_ms=NOW - 10) for number in range(30)))
    put(database, delivery("answers"))
    hanging = {"telegram": ({f"hangs {number}" for number in range(30)}, 2)}
    claimed = claim(database, room=5, hanging=hanging)
    assert [each.delivery.recipient for each in claimed] == ["hangs 0", "hangs 1", "answers"]


def test_an_account_has_its_share_of_a_channel_in_one_claim(database: Database) -> None:
    with database.session() as session:
        ann, bob = (add_account(session, f"{name}@example.com", from_ms(NOW)) for name in ("ann", "bob"))
    put(database, *(delivery(f"chat {number}", account_id=ann, due_ms=NOW - 1) for number in range(9)))
    put(database, delivery("bob's", account_id=bob), *(delivery(f"nobody's {number}") for number in range(3)))
    claimed = claim(database, room=7, per_account=2)
    assert [each.delivery.recipient for each in claimed] == [
        "chat 0",
        "chat 1",
        "bob's",
        *(f"nobody's {number}" for number in range(3)),
    ]


def test_claimers_at_the_same_time_never_get_the_same(database: Database) -> None:
    wanted = put(database, *(delivery(f"chat {number}") for number in range(60)))
    barrier = threading.Barrier(3)

    def work() -> list[int]:
        got: list[int] = []
        barrier.wait()
        # Where another one has locked all that were next, there may be more behind them.
        while len(got) < 60:
            batch = ids(claim(database, room=4))
            if not batch and "queued" not in statuses(database):
                break
            got += batch
        return got

    with ThreadPoolExecutor(3) as threads:
        results = [thread.result() for thread in [threads.submit(work) for _ in range(3)]]
    assert sorted(each for got in results for each in got) == wanted


def test_on_postgresql_a_claimer_does_not_wait_for_another_one(environ: dict[str, str], postgres_url: str) -> None:
    database = Database(Settings.load({**environ, "DATABASE_URL": postgres_url}))
    database.migrate()
    first, second = put(database, delivery("a"), delivery("b"))
    with database.session() as session:
        assert ids(outbox.claim_due(session, NOW, {"telegram": 1})) == [first]
        assert ids(claim(database)) == [second]
    database.close()


@pytest.mark.parametrize(("attempt", "pause_s"), [(1, 5), (2, 30), (3, 120), (4, 600), (5, 3600), (6, 3600)])
def test_a_failure_is_tried_again_on_the_schedule(sqlite_database: Database, attempt: int, pause_s: int) -> None:
    (only,) = put(sqlite_database, delivery(attempts=attempt - 1, expires_ms=NOW + 24 * HOUR))
    (claimed,) = claim(sqlite_database)
    failed = fail(sqlite_database, claimed, DeliveryError("it is\ndown" + "!" * 500))
    assert failed is not None
    assert (failed.status, failed.due_ms, failed.claim) == ("retrying", NOW + 1000 * pause_s, "")
    assert (failed.problem[:12], len(failed.problem)) == ("it is down!!", 300)
    assert ids(claim(sqlite_database, failed.due_ms - 1)) == []
    assert ids(claim(sqlite_database, failed.due_ms)) == [only]


def test_nobody_answered_is_uncertain_and_tried_again_under_the_same_key(database: Database) -> None:
    (only,) = put(database, delivery(key="k"))
    (claimed,) = claim(database)
    fail(database, claimed, Unanswered("timed out"))
    (again,) = claim(database, NOW + 5000)
    assert (again.delivery.key, again.delivery.attempts) == ("k", 2)
    hand(database, again)
    assert way(database, only) == ["queued", "uncertain", "sent"]


def test_being_told_to_wait_spends_no_attempt(database: Database) -> None:
    """Complaint 12: a 429 waits as told and spends no attempt."""
    (only,) = put(database, delivery())
    for turn in range(1, 4):
        (claimed,) = claim(database, NOW + turn * 40_000)
        failed = fail(database, claimed, TryAgainLater("slow down", wait_s=40), NOW + turn * 40_000)
        assert failed is not None
        assert (failed.status, failed.attempts, failed.due_ms) == ("retrying", 0, NOW + (turn + 1) * 40_000)
    (claimed,) = claim(database, NOW + 4 * 40_000)
    failed = fail(database, claimed, TryAgainLater("slow down", wait_s=10_072), NOW)
    assert failed is not None
    assert failed.status == "expired"
    assert stored(database, only).problem == "slow down"


def test_who_says_at_once_again_and_again_is_asked_less_and_less_often(database: Database) -> None:
    """Complaint 12: neither a request nor a row a second, and still no attempt is spent."""
    (only,) = put(database, delivery(expires_ms=NOW + 6 * HOUR))
    now, waits = NOW, list[int]()
    while ids(claimed := claim(database, now)) == [only]:
        failed = fail(database, claimed[0], TryAgainLater("at once", wait_s=0), now)
        assert failed is not None
        if failed.status != "retrying":
            break
        assert failed.attempts == 0
        waits.append((failed.due_ms - now) // 1000)
        now = failed.due_ms
    assert waits[:9] == [1, 1, 1, 5, 30, 120, 600, 3600, 3600]
    assert (stored(database, only).status, len(waits) < 30) == ("expired", True)


def test_holding_puts_off_one_recipient_or_the_whole_channel(database: Database) -> None:
    """Complaint 12: a 429 holds only that chat."""
    first, other, mail = put(database, delivery("a"), delivery("b"), delivery("a", "email"))
    (sent,) = put(database, delivery("a", status="sent"))
    with database.session() as session:
        assert pauses.note(session, "telegram", "a", NOW + 9000, NOW) == 1
    assert sorted(ids(claim(database, channels=["telegram", "email"]))) == [other, mail]
    assert stored(database, first).due_ms == NOW + 9000
    assert stored(database, sent).due_ms == NOW
    with database.session() as session:
        assert pauses.note(session, "telegram", None, NOW + 20_000, NOW) == 1
        assert pauses.note(session, "telegram", None, NOW + 20_000, NOW) == 0
    assert ids(claim(database, NOW + 19_999)) == []


@pytest.mark.parametrize("who", ["a", None])
def test_what_is_written_for_a_place_that_waits_waits_with_it(database: Database, who: str | None) -> None:
    with database.session() as session:
        pauses.note(session, "telegram", who, NOW + 9000, NOW)
    held, mail = put(database, delivery("a", now_ms=NOW + 1), delivery("a", "email"), now_ms=NOW + 1)
    (other,) = put(database, delivery("b", now_ms=NOW + 1), now_ms=NOW + 1)
    assert stored(database, held).due_ms == NOW + 9000
    assert ledger(database, held) == [("queued", NOW + 1, "Telegram asked us to pause.")]
    at_once = [mail] if who is None else [other, mail]
    assert sorted(ids(claim(database, NOW + 8999, channels=["telegram", "email"]))) == sorted(at_once)
    rest = {held, other, mail} - {*at_once}
    assert set(ids(claim(database, NOW + 9000))) == rest
    with database.session() as session:
        pauses.prune(session, NOW + 9000)
        assert session.exec(select(PlacePause)).all() == []


def test_what_slipped_past_a_wait_is_not_claimed_and_waits_by_the_clock_as_it_is(database: Database) -> None:
    """Another worker has noted it in a transaction that did not see the message."""
    with database.session() as session:
        pauses.note(session, "telegram", "a", NOW + 9000, NOW)
    (slipped,) = put(database, delivery("a"))
    with database.session() as session:
        session.get_one(Delivery, slipped).due_ms = NOW
    assert claim(database, NOW + 8999) == []
    with database.session(readonly=True) as session:
        assert outbox.due_channels(session, NOW + 8999) == set()
        assert pauses.until_ms(session, [session.get_one(Delivery, slipped)]) == {slipped: NOW + 9000}
    # The clock is set back by an hour: what was said by it as it was counts no more.
    assert ids(claim(database, NOW - HOUR)) == [slipped]


def test_refused_is_dead_with_the_provider_s_words(database: Database) -> None:
    (only,) = put(database, delivery())
    (claimed,) = claim(database)
    dead = fail(database, claimed, Gone("bot was blocked by the user"), NOW + 5)
    assert dead is not None
    assert (dead.status, dead.problem, dead.done_ms) == ("dead", "bot was blocked by the user", NOW + 5)
    assert claim(database, NOW + 24 * HOUR) == []
    assert ledger(database, only)[-1] == ("dead", NOW + 5, "bot was blocked by the user")


def test_what_is_too_late_expires(database: Database) -> None:
    (soon,) = put(database, delivery("a", expires_ms=NOW + 4000))
    waits, fresh = put(database, delivery("b", "slack", expires_ms=NOW + 1), delivery("c", "slack"))
    (claimed,) = claim(database)
    failed = fail(database, claimed, DeliveryError("down"))
    assert failed is not None
    assert failed.status == "expired"
    assert ledger(database, soon)[-1] == ("expired", NOW, f"{outbox.TOO_LATE} down")
    with database.session() as session:
        assert [row.id for row in outbox.expire(session, NOW)] == []
        assert [row.id for row in outbox.expire(session, NOW + 1)] == [waits]
    assert stored(database, fresh).status == "queued"
    assert ledger(database, waits)[-1] == ("expired", NOW + 1, outbox.TOO_LATE)


def test_what_is_being_sent_does_not_expire(database: Database) -> None:
    put(database, delivery(expires_ms=NOW + 1))
    claim(database)
    with database.session() as session:
        assert outbox.expire(session, NOW + 2) == []


def test_what_was_not_begun_goes_back_as_it_was(database: Database) -> None:
    (only,) = put(database, delivery(key="k"))
    (claimed,) = claim(database)
    with database.session() as session:
        outbox.release(session, "k", "another claim", NOW)
    assert stored(database, only).status == "sending"
    with database.session() as session:
        outbox.release(session, "k", claimed.delivery.claim, NOW + 700)
    row = stored(database, only)
    assert (row.status, row.attempts, row.due_ms, row.claim) == ("queued", 0, NOW + 700, "")
    assert way(database, only) == ["queued"]


def test_a_clock_that_is_set_back_holds_nothing_up(database: Database) -> None:
    before = NOW + 6 * HOUR
    put(database, delivery("claimed", now_ms=before), now_ms=before)
    claim(database, before)
    (queued,) = put(database, delivery("queued", now_ms=before), now_ms=before)
    (retrying,) = put(database, delivery("tried", now_ms=before, status="retrying"), now_ms=before)
    got = ids(claim(database, NOW))
    assert {queued, retrying} < set(got)
    assert len(got) == 3


def test_what_a_provider_says_later_goes_forward_only(database: Database) -> None:
    (only,) = put(database, delivery("+491701234567", "sms"))
    (claimed,) = claim(database, channels=["sms"])
    with database.session() as session:
        row = session.get_one(Delivery, only)
        # Its call-back is here before its answer.
        assert outbox.told(session, row, "delivered", NOW + 1, "handset")
    assert hand(database, claimed, Handed("SM1", "accepted"), NOW + 2).status == "delivered"
    row = stored(database, only)
    assert (row.provider_id, row.handed_ms, row.claim) == ("SM1", NOW + 2, "")
    with database.session() as session:
        row = session.get_one(Delivery, only)
        assert not outbox.told(session, row, "accepted", NOW + 3)
        assert not outbox.told(session, row, "delivered", NOW + 3)
        assert outbox.told(session, row, "bounced", NOW + 4, "unknown subscriber")
        assert not outbox.told(session, row, "delivered", NOW + 5)
    assert way(database, only) == ["queued", "delivered", "bounced"]


def test_what_must_not_be_sent_says_why(database: Database) -> None:
    with database.session() as session:
        ann = add_account(session, "ann@example.com", from_ms(NOW))
        place = destinations.keep(session, ann, "telegram", "7", NOW, details={"name": "x"}, confirmed=True)
        off = destinations.keep(session, ann, "telegram", "8", NOW, confirmed=True)
        destinations.switch_off(session, off, "you blocked the bot")
        destinations.suppress(session, "email", "ann@example.com", "bounce", "no such mailbox", NOW)
        demo = AlertRecord(
            key="d", account_id=ann, title="t", text="", demo=True, event_ms=1, seen_ms=1, stored_ms=1, hash="h"
        )
        session.add(demo)
        session.flush()
        rows = [
            delivery("7", destination_id=place.id),
            delivery("8", destination_id=off.id),
            delivery("9", alert_id=demo.id),
            delivery("ann@example.com", "email"),
            delivery("ann@example.com", "email", kind="mail", due_ms=NOW + 1),
        ]
        outbox.write(session, rows, NOW)
    found = {each.delivery.recipient: each for each in claim(database, NOW, channels=["telegram", "email"])}
    assert (found["7"].stop, dict(found["7"].details)) == ("", {"name": "x"})
    assert found["8"].stop == "It was switched off meanwhile: you blocked the bot"
    assert found["9"].stop == outbox.SIMULATED
    assert found["ann@example.com"].stop == "Nothing is sent to this address any more (bounce)."
    # Account mail is not what somebody unsubscribes from.
    (mail,) = claim(database, NOW + 1, channels=["email"])
    assert (mail.delivery.kind, mail.stop) == ("mail", "")


def test_the_operator_has_a_dead_one_sent_again_under_its_key(database: Database) -> None:
    (only,) = put(database, delivery(key="k"))
    (claimed,) = claim(database)
    fail(database, claimed, Refused("wrong token"))
    with database.session() as session:
        outbox.again(session, session.get_one(Delivery, only), NOW + HOUR, HOUR, "asked for by the operator")
    (again,) = claim(database, NOW + HOUR)
    assert (again.delivery.key, again.delivery.attempts, again.delivery.payload) == ("k", 1, {"text": "to chat 1"})
    assert again.delivery.expires_ms == NOW + 2 * HOUR
    assert way(database, only) == ["queued", "dead", "queued"]


def test_figures_tell_what_waits_and_for_how_long(database: Database) -> None:
    put(database, delivery("a"), now_ms=NOW - 5000)
    put(database, delivery("b", due_ms=NOW + 1000), delivery("c", status="dead"), delivery("d", status="sent"))
    put(database, delivery("e", "slack", status="sent"))
    with database.session(readonly=True) as session:
        assert outbox.figures(session, NOW + 300) == {"telegram": outbox.ChannelFigures(2, NOW - 5000, 300, 1)}


def test_old_messages_are_deleted_with_their_ledgers(database: Database) -> None:
    put(database, delivery("a"), delivery("b", "email", kind="mail"), now_ms=NOW - 10)
    kept, mail = put(database, delivery("a"), delivery("b", "email", kind="mail"), now_ms=NOW)
    with database.session() as session:
        assert outbox.prune(session, NOW, NOW) == 2
        assert outbox.prune(session, NOW, NOW + 1) == 1
    assert [row for row in (kept, mail) if ledger(database, row)] == [kept]


def test_a_destination_outlives_its_messages_and_not_the_other_way(database: Database) -> None:
    with database.session() as session:
        ann = add_account(session, "ann@example.com", from_ms(NOW))
        place = destinations.keep(session, ann, "telegram", "7", NOW, confirmed=True)
        session.flush()
        (row,) = outbox.write(session, [delivery("7", destination_id=place.id, account_id=ann)], NOW)
    with database.session() as session:
        session.delete(session.get_one(Destination, place.id))
    assert stored(database, row.id or 0).destination_id is None


def test_what_is_tried_again_is_put_off_once_by_a_clock_that_was_set_back(database: Database) -> None:
    """It is due at once then, and after that by its schedule again: nobody is tried all the time."""
    (only,) = put(database, delivery(expires_ms=NOW + 24 * HOUR))
    (claimed,) = claim(database)
    fail(database, claimed, Unanswered("no answer"))
    back_ms = NOW - 6 * HOUR
    (again,) = claim(database, back_ms)
    assert again.delivery.id == only
    failed = fail(database, again, DeliveryError("away"), back_ms)
    assert failed is not None
    assert ids(claim(database, back_ms + 1_000)) == []
    assert ids(claim(database, failed.due_ms)) == [only]


def test_who_was_told_to_wait_for_long_waits_where_the_clock_is_right(database: Database) -> None:
    put(database, delivery(expires_ms=NOW + 24 * HOUR))
    (claimed,) = claim(database)
    fail(database, claimed, TryAgainLater("slow down", wait_s=36_000))
    assert ids(claim(database, NOW + 1_000)) == []
