"""The channels of an account: which of them reach its owner and why the others do not, and what the owner does there.

A place (`models.Destination`) belongs to one account; every method raises NotFound for one that does not exist and for
another account's alike. Addresses are secrets: what leaves here of them is `Place.hint`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from zoneinfo import ZoneInfo

from sqlmodel import Session

from flashcur.domain.delivery.phone_number import masked, mobile_number
from flashcur.domain.plans import CHANNEL_NAMES, CHANNELS, Channel, Plan, channel_plan_text
from flashcur.errors import Conflict, DeliveryError, NotFound, PlanNeeded, Refusal, Unavailable
from flashcur.models import Account, Delivery, Destination, new_id
from flashcur.services.accounts import audit, limits, sessions
from flashcur.services.accounts.context import Context
from flashcur.services.accounts.entitlement import plan_of
from flashcur.services.accounts.sessions import Caller
from flashcur.services.alerts.compose import message_of_test
from flashcur.services.alerts.places import NO_BROWSER
from flashcur.services.kit.clock import to_ms
from flashcur.services.notify import destinations, discord, outbox, slack, sms_codes, telegram_links, webhook
from flashcur.services.notify.channel import Channel as Sender
from flashcur.services.notify.channel import cannot_send
from flashcur.services.notify.telegram import TelegramChannel
from flashcur.services.notify.telegram_links import Link
from flashcur.settings.idn import shown_address

T = TypeVar("T")

Senders = Mapping[str, Sender]
"""The channels that messages leave by, by name (`services.notify.channels`)."""

MOST_PLACES = 5
"""Places of one channel that an account connects; browsers for web push may be twice as many."""
MOST_NAME = 40
"""Characters."""
EMAIL_PLACE = "email"
"""Names the account's own address where a place's id is asked for."""
TEST_USEFUL_MS = 10 * 60_000
"""How long a test message is worth sending."""

_PARSED = ("discord", "slack", "webhook")
_CHANNELS_PAGE = "/alerts?tab=channels"
_SUPPRESSED = {
    "bounce": "Your mailbox rejected our last message.",
    "complaint": "One of our messages was reported as spam, so we send none there.",
    "unsubscribe": "You unsubscribed.",
    "stop": "You answered STOP. Text START to the same number to get messages again.",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A destination as its owner's pages show it: nothing in it is secret."""

    id: str
    channel: Channel
    name: str
    """What its owner called it, or where it is, shortened."""
    hint: str
    """Where it is, shortened so that nobody can send there."""
    state: str
    """As in `Destination`."""
    why: str
    """Why nothing is sent there, in words for its owner; empty where something is."""
    created_ms: int
    used_ms: int | None
    """When a message was last handed over, Unix ms."""
    ends_ms: int | None = None
    """When it ends by itself, Unix ms; None where it does not, or that is not known."""

    @property
    def on(self) -> bool:
        """Whether messages are sent there."""
        return self.state == "on" and not self.why


@dataclass(frozen=True, slots=True)
class Connected:
    """A place that was connected just now."""

    place_id: str
    secret: str = ""
    """The signing secret of a webhook, which is shown this once; empty for the others."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether a channel reaches an account's owner now."""

    ok: bool
    text: str
    """One sentence: by what, or why not."""
    link: str = ""
    """Where the owner can do something about it; empty where they cannot, or need not."""
    link_text: str = ""


def places(session: Session, account: Account) -> tuple[Place, ...]:
    """All places of an account, in the order of the channels, the oldest first.

    Its own email address is one of them, without a row until a message went there or something of it is changed.
    """
    rows = list(destinations.of_account(session, account.id))
    if account.email is not None and all(row.channel != "email" for row in rows):
        rows.append(_own_address(account))
    found = [_place(session, account, each) for each in rows]
    return tuple(sorted(found, key=lambda place: CHANNELS.index(place.channel)))


def reach(
    plan: Plan, email: str | None, known: Iterable[Place], browsers: Sequence[str], senders: Senders
) -> dict[Channel, Reach]:
    """Each channel, and whether it reaches an account's owner, by their plan, address and places.

    `browsers`: what those are called in which they are signed in and have allowed notifications.
    """
    by_channel: dict[str, list[Place]] = {}
    for place in known:
        by_channel.setdefault(place.channel, []).append(place)
    return {
        channel: _by_browser(browsers)
        if channel == "browser" and channel in plan.channels
        else _reach(channel, plan, email, by_channel.get(channel, []), senders.get(channel))
        for channel in CHANNELS
    }


class Channels:
    """The channels of an account as their owner changes them.

    Every method raises SignInNeeded when signed out, Throttled after too many changes, PlanNeeded where the plan does
    not have the channel, and Unavailable while the database is away or the channel is not set up here.
    """

    def __init__(self, context: Context, senders: Senders) -> None:
        self._context = context
        self.senders = senders

    async def connect_url(self, caller: Caller, channel: str, url: str, name: str) -> Connected:
        """Send to a webhook of Discord, of Slack, or of any server.

        Raises Refusal (field `url` or `name`) for what cannot be one.
        """
        if channel not in _PARSED:
            raise Refusal("Choose Discord, Slack or Webhook.", field="channel")
        kind: Channel = channel  # pyright: ignore[reportAssignmentType]
        called = clean_name(name)
        address = self._address(kind, url)

        def work(session: Session, account: Account) -> Connected:
            place = self._keep(session, account, kind, address, caller, name=called)
            if kind != "webhook":
                return Connected(place.id)
            if not place.details:
                place.details = webhook.new_details()
                session.add(place)
            return Connected(place.id, webhook.secret_of(place, self._context.settings.secret_key))

        return await self._connect(caller, kind, work)

    async def new_secret(self, caller: Caller, place_id: str) -> str:
        """Another signing secret for a webhook, to be shown this once; for a day both sign."""

        def work(session: Session, account: Account) -> str:
            place = self._own(session, account, place_id)
            if place.channel != "webhook" or not place.details:
                raise Conflict("Only a webhook has a signing secret.")
            place.details = webhook.rotated(place.details, to_ms(self._context.clock()))
            session.add(place)
            return webhook.secret_of(place, self._context.settings.secret_key)

        return await self._change(caller, work)

    async def begin_telegram(self, caller: Caller) -> Link:
        """A link that connects whichever chat it is opened in, for a quarter of an hour.

        Raises Unavailable while Telegram does not answer.
        """
        sender = self.senders.get("telegram")
        if not isinstance(sender, TelegramChannel):
            raise Unavailable(_not_set_up("telegram", sender))
        await self._connect(caller, "telegram", lambda session, account: None)
        try:
            username = await sender.api.username()
        except DeliveryError as error:
            raise Unavailable("Telegram is not answering. Try again in a few seconds.") from error
        secret, now_ms = self._context.settings.secret_key, to_ms(self._context.clock())

        def work(session: Session, account: Account) -> Link:
            self._require("telegram", plan_of(account, self._context.clock()))
            known = [each for each in destinations.of_account(session, account.id, "telegram") if each.address]
            if len(known) >= MOST_PLACES:
                raise Conflict(f"Telegram has room for {MOST_PLACES} destinations. Remove one first.")
            return telegram_links.begin_link(session, account.id, secret, username, now_ms)

        return await self._change(caller, work)

    async def begin_sms(self, caller: Caller, number: str) -> str:
        """Send a code to a number; the id of the place, which `confirm_sms` takes.

        Raises Refusal (field `number`) for what is no mobile number.
        """
        wanted = mobile_number(number)
        await self._connect(caller, "sms", lambda session, account: None)
        await self._context.charge(*sms_codes.charges(caller.account_id, wanted, caller.client))
        now_ms = to_ms(self._context.clock())

        def work(session: Session, account: Account) -> str:
            self._require("sms", plan_of(account, self._context.clock()))
            return sms_codes.begin_opt_in(session, account.id, wanted, now_ms).id

        return await self._change(caller, work)

    async def confirm_sms(self, caller: Caller, place_id: str, code: str) -> None:
        """Take the code that was sent to a number. Raises Refusal (field `code`) where it is wrong, or over."""
        secret, now = self._context.settings.secret_key, self._context.clock()

        def work(session: Session, account: Account) -> str:
            wrong = sms_codes.confirm(session, account.id, place_id, code, to_ms(now), secret)
            if not wrong:
                place = self._own(session, account, place_id)
                audit.record(session, "channel-connected", account.id, now, caller.client, detail=_described(place))
            return wrong

        # A wrong one has counted: it is refused once that is committed.
        wrong = await self._change(caller, work)
        if wrong:
            raise Refusal(wrong, field="code")

    async def rename(self, caller: Caller, place_id: str, name: str) -> None:
        """Call a place something else. Raises Refusal for a name that cannot be one."""
        called = clean_name(name)
        if not called:
            raise Refusal("Enter a name.", field="name")

        def work(session: Session, account: Account) -> None:
            place = self._stored(session, account, place_id)
            place.name = called
            session.add(place)

        await self._change(caller, work)

    async def remove(self, caller: Caller, place_id: str) -> None:
        """Forget a place: what is on its way there is not sent any more.

        Raises Conflict for the account's own address, which can be switched off.
        """

        def work(session: Session, account: Account) -> None:
            place = self._own(session, account, place_id)
            if place.channel == "email":
                raise Conflict("This is your account’s own address. Switch it off instead.")
            audit.record(
                session,
                "channel-removed",
                account.id,
                self._context.clock(),
                caller.client,
                detail=_described(place),
            )
            session.delete(place)

        await self._change(caller, work)

    async def switch_off(self, caller: Caller, place_id: str) -> None:
        """Send nothing there until it is switched on again."""

        def work(session: Session, account: Account) -> None:
            place = self._stored(session, account, place_id)
            destinations.switch_off(session, place, "You switched it off.")

        await self._change(caller, work)

    async def switch_on(self, caller: Caller, place_id: str) -> None:
        """Send there again. Raises Conflict where it was never confirmed, where its owner said STOP, and where the
        browser's subscription is over."""

        def work(session: Session, account: Account) -> None:
            place = self._own(session, account, place_id)
            channel = _channel(place)
            self._require(channel, plan_of(account, self._context.clock()))
            if place.confirmed_ms is None:
                raise Conflict("It is not confirmed yet. Finish connecting it first.")
            ends_ms = destinations.ends_ms(place)
            if ends_ms is not None and ends_ms <= to_ms(self._context.clock()):
                raise Conflict("That browser is no longer subscribed. Turn web push on in it again.")
            address = place.address or account.email or ""
            barred = destinations.suppressed(session, channel, address)
            if barred is not None and barred.reason == "stop":
                raise Conflict(_SUPPRESSED["stop"])
            destinations.allow(session, channel, address)
            destinations.keep(session, account.id, channel, place.address, to_ms(self._context.clock()), confirmed=True)

        await self._change(caller, work)

    async def test(self, caller: Caller, place_id: str) -> int:
        """Send a test message to a place, for real. Returns the delivery's id.

        Raises Conflict where nothing is sent there.
        """
        sent = await self._test(caller, lambda session, account: [self._own(session, account, place_id)])
        return sent[0]

    async def test_all(self, caller: Caller, channels: Sequence[str]) -> list[int]:
        """Send a test message to every place of these channels that is on. Returns the deliveries' ids.

        One that cannot get any keeps it from no other. Raises Conflict where there is none, and what keeps it from the
        first of them where it is kept from all.
        """

        def chosen(session: Session, account: Account) -> list[Destination]:
            on = [place.id for place in places(session, account) if place.on and place.channel in channels]
            if not on:
                raise Conflict("None of these channels can take a test message yet. Connect one first.")
            return [self._own(session, account, each) for each in on]

        return await self._test(caller, chosen)

    async def _test(self, caller: Caller, choose: Callable[[Session, Account], Sequence[Destination]]) -> list[int]:
        await self._context.charge((limits.TEST_ACCOUNT, caller.account_id))

        def work(session: Session, account: Account) -> list[int]:
            written: list[Delivery] = []
            refused: list[Refusal] = []
            for place in choose(session, account):
                try:
                    written.append(self._test_delivery(session, account, place))
                except Refusal as refusal:
                    refused.append(refusal)
            if not written:
                raise refused[0]
            outbox.write(session, written, to_ms(self._context.clock()))
            session.flush()
            return [each.id or 0 for each in written]

        return await self._change(caller, work)

    def _test_delivery(self, session: Session, account: Account, place: Destination) -> Delivery:
        now = self._context.clock()
        channel = _channel(place)
        sender = self._require(channel, plan_of(account, now))
        shown = _place(session, account, place)
        if not shown.on:
            raise Conflict(shown.why or "It is not confirmed yet. Finish connecting it first.")
        now_ms = to_ms(now)
        if channel == "sms" and (why := sms_codes.over_the_cap(session, account.id, place.address, now_ms)):
            raise Conflict(why)
        message = message_of_test(
            CHANNEL_NAMES[channel], now_ms, zone=ZoneInfo(account.time_zone), base=self._context.base
        )
        return Delivery(
            key=new_id() + new_id(),
            account_id=account.id,
            kind="test",
            channel=channel,
            destination_id=None if place.id == EMAIL_PLACE else place.id,
            recipient=place.address or account.email or "",
            payload=dict(sender.render(message)),
            due_ms=now_ms,
            expires_ms=now_ms + TEST_USEFUL_MS,
            created_ms=now_ms,
        )

    def _require(self, channel: Channel, plan: Plan) -> Sender:
        """The channel's sender. Raises PlanNeeded where the plan lacks it, Unavailable where it is not set up."""
        if channel not in plan.channels:
            raise PlanNeeded(channel_plan_text(channel))
        sender = self.senders.get(channel)
        if sender is None or sender.problem:
            raise Unavailable(_not_set_up(channel, sender))
        return sender

    def _address(self, channel: Channel, url: str) -> str:
        if channel == "discord":
            return discord.parse_url(url)
        if channel == "slack":
            return slack.parse_url(url)
        return webhook.parse_url(url, private=self._context.settings.allow_private_webhooks)

    def _keep(
        self,
        session: Session,
        account: Account,
        channel: Channel,
        address: str,
        caller: Caller,
        *,
        name: str = "",
        confirmed: bool = True,
    ) -> Destination:
        """A place of the account from now on. Raises Conflict where it has enough of them."""
        now = self._context.clock()
        known = destinations.of_account(session, account.id, channel)
        key = destinations.address_key(channel, address)
        if all(each.address_key != key for each in known):
            if len(known) >= MOST_PLACES:
                raise Conflict(f"{CHANNEL_NAMES[channel]} has room for {MOST_PLACES} destinations. Remove one first.")
            name = name or _free_name(channel, known)
        place = destinations.keep(session, account.id, channel, address, to_ms(now), name=name, confirmed=confirmed)
        session.flush()
        audit.record(session, "channel-connected", account.id, now, caller.client, detail=_described(place))
        return place

    def _own(self, session: Session, account: Account, place_id: str) -> Destination:
        """A place of the account; its own address before anything of that was changed is a new row, not yet added."""
        if place_id == EMAIL_PLACE and account.email is not None:
            kept = destinations.of_account(session, account.id, "email")
            return kept[0] if kept else _own_address(account)
        place = session.get(Destination, place_id, populate_existing=True)
        if place is None or place.account_id != account.id:
            raise NotFound("This destination no longer exists.")
        return place

    def _stored(self, session: Session, account: Account, place_id: str) -> Destination:
        """The same as a row that can be changed."""
        place = self._own(session, account, place_id)
        if place.id == EMAIL_PLACE:
            place = destinations.own_address(session, account)
            session.flush()
        return place

    async def _connect(self, caller: Caller, channel: Channel, work: Callable[[Session, Account], T]) -> T:
        """`_change` for what connects a channel, which the plan must have, and the server."""
        await self._context.charge((limits.CONNECT_ACCOUNT, caller.account_id))

        def allowed(session: Session, account: Account) -> T:
            self._require(channel, plan_of(account, self._context.clock()))
            return work(session, account)

        return await self._change(caller, allowed)

    async def _change(self, caller: Caller, work: Callable[[Session, Account], T]) -> T:
        now = self._context.clock()

        def authorised(session: Session) -> T:
            account, _ = sessions.require(session, caller, now, locked=True)
            return work(session, account)

        await self._context.charge_write(caller)
        return await self._context.change(caller.account_id, authorised)


def clean_name(text: str) -> str:
    """A name of one line, without what cannot be seen. Raises Refusal for one that is too long."""
    name = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if len(name) > MOST_NAME:
        raise Refusal(f"Use {MOST_NAME} characters at most.", field="name")
    return name


def _reach(channel: Channel, plan: Plan, email: str | None, known: Sequence[Place], sender: Sender | None) -> Reach:
    if channel not in plan.channels:
        return Reach(False, channel_plan_text(channel), "/pricing", "Compare plans")
    if channel == "in-app":
        return Reach(True, "Every alert is listed under the bell.")
    if sender is None or sender.problem:
        return Reach(False, _not_set_up(channel, sender))
    if channel == "email" and email is None:
        return Reach(False, "Your account has no email address.", "/account#sign-in", "Add one")
    on = [place.name for place in known if place.on]
    if on:
        return Reach(True, f"To {_listed(on)}.")
    if not known:
        return Reach(False, "Not connected yet.", _CHANNELS_PAGE, "Connect it")
    first = min(known, key=lambda place: place.state == "unconfirmed")
    if first.state == "unconfirmed":
        return Reach(False, "Not confirmed yet.", _CHANNELS_PAGE, "Confirm it")
    # Why stands with the place.
    return Reach(False, "Switched off.", _CHANNELS_PAGE, "Look at it")


def _by_browser(browsers: Sequence[str]) -> Reach:
    if not browsers:
        return Reach(False, f"{NO_BROWSER[0].upper()}{NO_BROWSER[1:]}.", _CHANNELS_PAGE, "Allow them")
    there = "there" if len(browsers) == 1 else "in one of them"
    return Reach(True, f"To {_listed(browsers)}, while a page of FlashCur is open {there}.")


def _place(session: Session, account: Account, row: Destination) -> Place:
    channel = _channel(row)
    barred = destinations.suppressed(session, channel, row.address or account.email or "")
    why = row.why or "You switched it off." if row.state == "off" else ""
    if barred is not None and not why:
        why = _SUPPRESSED.get(barred.reason, "We may not send anything there any more.")
    if channel == "email" and account.email is None:
        why = "Your account has no email address any more."
    hint = _hint(channel, row.address, account.email)
    ends_ms = destinations.ends_ms(row)
    return Place(row.id, channel, row.name or hint, hint, row.state, why, row.created_ms, row.used_ms, ends_ms)


def _own_address(account: Account) -> Destination:
    now_ms = to_ms(account.created_at)
    key = destinations.address_key("email", "")
    return Destination(
        id=EMAIL_PLACE,
        account_id=account.id,
        channel="email",
        address_key=key,
        created_ms=now_ms,
        confirmed_ms=now_ms,
    )


def _hint(channel: Channel, address: str, email: str | None) -> str:
    """Where it is, in words that open nothing."""
    if channel == "email":
        return shown_address(email or "")
    if channel == "sms":
        return masked(address)
    if channel == "telegram":
        return "a group" if address.startswith("-") else "your chat"
    if channel == "web-push":
        return "a browser"
    if channel == "discord":
        return discord.masked(address)
    return slack.masked(address) if channel == "slack" else webhook.masked(address)


def _free_name(channel: Channel, known: Sequence[Destination]) -> str:
    """What a new place is called until its owner names it; empty where what it is says enough."""
    if channel in ("email", "sms", "web-push"):
        return ""
    taken = {each.name for each in known}
    names = (CHANNEL_NAMES[channel] + (f" {number}" if number > 1 else "") for number in range(1, MOST_PLACES + 2))
    return next(name for name in names if name not in taken)


def _described(place: Destination) -> str:
    channel = _channel(place)
    return f"{CHANNEL_NAMES[channel]}: {place.name}" if place.name else CHANNEL_NAMES[channel]


def _channel(place: Destination) -> Channel:
    return place.channel  # pyright: ignore[reportReturnType]


def _not_set_up(channel: Channel, sender: Sender | None) -> str:
    problem = "" if sender is None else sender.problem
    return problem or cannot_send(channel)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
