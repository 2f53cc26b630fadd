"""An engine with rules, watched from outside: `watched REST_URL WS_URL FOLDER PROVIDER_URL SPIKES`.

Says `{"symbols": […]}` once its rules are evaluated: the contracts that they watch. Then it answers each line of its
standard input with what it has stored: ms from the exchange's message to the alert's committed row, and the channel and
that message's time of each delivery, by its key.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import uvloop
from sqlmodel import Session, col, select

from bench.delivery.crossings import ACCOUNTS, AN_ALERT
from bench.delivery.mix import Mix
from bench.delivery.provider import ProviderChannel
from bench.signals.watched import NoPast, filled, learn
from bench.watching import watching
from flashcur.domain.delivery.message import Message
from flashcur.domain.plans import Channel as ChannelName
from flashcur.domain.rules.condition import VolumeRatio
from flashcur.engine import engine as engine_module
from flashcur.engine.alert_writer import AlertWriter
from flashcur.engine.engine import Engine
from flashcur.models import AlertRecord, Delivery
from flashcur.services.bus import MemoryBus
from flashcur.services.kit.clock import from_ms, now_ms
from flashcur.services.kit.metrics import Metrics
from flashcur.services.lease import FileLease
from flashcur.services.notify import destinations
from flashcur.services.notify.channel import Channel, Payload
from flashcur.services.notify.channels import make_channels
from flashcur.services.notify.dialling import Dialler
from flashcur.services.storage.database import Database
from flashcur.settings import Settings
from tests.support.accounts import add_account
from tests.support.rules import add_rule, definition

RATIO = 3.0


class _Handing(ProviderChannel):
    """A channel of the product, with its limits and its texts, whose provider is here."""

    def __init__(self, url: str, channel: Channel) -> None:
        # One that hangs is left when the worker leaves it.
        super().__init__(url, channel.name, rate=channel.rate, recipient_rate=channel.recipient_rate, timeout_s=3_600.0)
        self.useful_s = channel.useful_s
        self.own_servers = channel.own_servers
        self._channel = channel

    def render(self, message: Message) -> Payload:
        return self._channel.render(message)


async def main(rest_url: str, ws_url: str, folder: Path, provider_url: str, spikes: int) -> None:
    settings = watching(rest_url, ws_url, folder)
    database = Database(settings)
    database.migrate()
    delays: list[float] = []

    class Timed(AlertWriter):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **{**named, "observe": lambda seconds: delays.append(seconds * 1000)})

    def handing(settings: Settings, dialler: Dialler) -> Mapping[str, Channel]:
        return {name: _Handing(provider_url, each) for name, each in make_channels(settings, dialler).items()}

    engine_module.History = NoPast
    engine_module.AlertWriter = Timed
    engine_module.make_channels = handing
    engine = Engine(
        settings, bus=MemoryBus(), database=database, lease=FileLease(folder / "engine.lock"), metrics=Metrics()
    )
    serving = asyncio.create_task(engine.run())
    office = await filled(engine)
    symbols = learn(office)[:spikes]
    await database.run(lambda session: _write_rules(session, symbols))
    while not office.evaluation.rules:
        await office.evaluation.sweep()
        await asyncio.sleep(0.5)
    print(json.dumps({"symbols": symbols}), flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while (await lines.readline()).strip():
        sent = await database.run(_sent, readonly=True)
        print(json.dumps({"stored": delays, "sent": sent}), flush=True)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    database.close()


def _write_rules(session: Session, symbols: Sequence[str]) -> None:
    mix, now = Mix(AN_ALERT), now_ms()
    for symbol in symbols:
        for number in range(ACCOUNTS):
            account_id = add_account(
                session, f"{symbol}.{number}@example.com", from_ms(now), password=None, plan="elite"
            )
            dealt = mix.deal()
            for at, name in enumerate(dealt):
                if name != "email":
                    channel: ChannelName = name  # type: ignore[assignment]
                    destinations.keep(session, account_id, channel, f"{account_id} {at}", now, confirmed=True)
            written = definition(VolumeRatio(RATIO, 0.0), scope=symbol)
            add_rule(session, account_id, written, now, channels=sorted(set(dealt)))


def _sent(session: Session) -> dict[str, tuple[str, int]]:
    query = (
        select(Delivery.key, Delivery.channel, AlertRecord.seen_ms)
        .join(AlertRecord, col(AlertRecord.id) == col(Delivery.alert_id))
        .where(AlertRecord.kind == "rule", Delivery.channel != "in-app")
    )
    return {key: (channel, seen_ms) for key, channel, seen_ms in session.exec(query)}


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    uvloop.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4], int(sys.argv[5])))
