"""One second of the market, from the book to bytes that are ready for every socket, and what it costs.

Ours: take the frame, encode it, hand it to the hub, encode and compress one delta per live audience. The peer is what
most dashboards do: a list of row dictionaries through `json.dumps`, once for each of the four audiences.
"""

from __future__ import annotations

import json
import time
from typing import Any

from bench.market import Market, now_ms
from bench.options import Options
from bench.report import Table, quantile, ratio
from flashcur.domain.frames import Frame
from flashcur.domain.plans import AUDIENCES
from flashcur.services.bus.topics import LIVE_TOPIC
from flashcur.state.market import feed_vars
from flashcur.state.wire.broadcast import encode
from flashcur.web.market_hub import MarketHub, Update
from flashcur.web.shared_frame import SharedFrame


def run(options: Options) -> Table:
    """Measure; times in milliseconds."""
    rounds = 30 if options.quick else 300
    market, hub = Market(), MarketHub()
    steps: dict[str, list[float]] = {name: [] for name in ("take", "encode", "hub", "deltas", "whole", "peer")}
    sizes: list[int] = []
    wire: list[int] = []
    updates: list[Update] = []
    hub.listen(lambda news: updates.extend(news))
    previous: Frame | None = None
    for seq in range(rounds + 2):
        market.move(now_ms())
        started = time.perf_counter()
        frame = market.frame(seq, now_ms(), previous)
        taken = time.perf_counter()
        payload = frame.encode()
        encoded = time.perf_counter()
        updates.clear()
        hub.receive(LIVE_TOPIC, payload)
        received = time.perf_counter()
        shared = [delta(update) for update in updates]
        ended = time.perf_counter()
        theirs = as_rows(frame)
        began = time.perf_counter()
        texts = [json.dumps(theirs) for _ in AUDIENCES]
        finished = time.perf_counter()
        previous = frame
        if seq < 2:
            continue
        for name, seconds in (
            ("take", taken - started),
            ("encode", encoded - taken),
            ("hub", received - encoded),
            ("deltas", ended - received),
            ("whole", ended - started),
            ("peer", finished - began),
        ):
            steps[name].append(seconds * 1000)
        sizes.append(max(len(message.deflated) for message in shared))
        wire.append(len(texts[0]))
    ours = (quantile(steps["whole"], 0.5), quantile(steps["whole"], 0.99))
    peer = (quantile(steps["peer"], 0.5), quantile(steps["peer"], 0.99))
    labels = {
        "take": "take the frame from the book",
        "encode": "encode it for the bus",
        "hub": "decode, cut to the plans, compare",
        "deltas": "deltas of all audiences, encoded and compressed",
    }
    rows: list[tuple[Any, ...]] = [
        (label, quantile(steps[name], 0.5), quantile(steps[name], 0.99), None) for name, label in labels.items()
    ]
    rows.append(("**FlashCur, all of it**", *ours, ratio(ours[0], peer[0])))
    rows.append(("`json.dumps` of 500 row dictionaries, once an audience", *peer, None))
    return Table(
        "frame",
        ("500 contracts", "p50 ms", "p99 ms", "against the peer"),
        tuple(rows),
        (
            f"{rounds} frames. FlashCur's live message is {quantile(sizes, 0.5):,.0f} bytes on the wire, compressed; "
            f"the peer's text {quantile(wire, 0.5):,.0f}, not compressed.",
        ),
    )


def delta(update: Update) -> SharedFrame:
    """What the broadcaster makes of an update for the sockets of its audience, in both forms."""
    columns: dict[str, Any] = dict(update.columns)
    if columns and update.table is not None:
        columns["beat"] = update.table.seq
    message = SharedFrame(encode(columns, feed_vars(update.audience, update.live, update.table)))
    _ = message.plain, message.deflated
    return message


def as_rows(frame: Frame) -> list[dict[str, Any]]:
    """The frame as rows, the shape in which other dashboards send it."""
    names = frame.values("symbol")
    return [
        {"symbol": symbol, **{name: values[number] for name, values in frame.exact.items()}}
        for number, symbol in enumerate(names)
    ]
