"""`python -m flashcur.backtest`: what the detectors would have said of the past, and what the price did then.

    python -m flashcur.backtest spikes   --candles FILE [--symbol S]
    python -m flashcur.backtest adaptive --candles FILE [--symbol S]
    python -m flashcur.backtest oi       --values FILE [--symbol S]
    python -m flashcur.backtest funding  --payments FILE [--symbol S]
    python -m flashcur.backtest outcomes --signals FILE --candles FILE [--symbol S]

The detectors are those that watch the live market; only the source of what they see differs. Files are CSV with a
header, or Parquet. One JSON object a line goes to the standard output; wrong rows are named on the standard error, and
the command ends with 2.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import orjson

from flashcur.domain.signals.outcomes import HORIZONS_H, Base, HourlyCloses, Outcome, Summary, summarise
from flashcur.domain.signals.replay import replay_candles, replay_funding, replay_open_interest
from flashcur.domain.signals.signal import DetectorName, Origin, Signal
from flashcur.domain.spikes import HOUR_MS, SpikeRule
from flashcur.errors import BadFile
from flashcur.services.history import (
    CANDLES,
    FUNDING,
    OPEN_INTEREST,
    Layout,
    Series,
    Told,
    candle_rows,
    open_interest_rows,
    payment_rows,
    read_series,
    read_told,
)
from flashcur.services.kit.clock import from_ms
from flashcur.services.kit.progress import Progress

MANY_ROWS = 100_000
"""From so many rows on, contracts are shared among all cores."""

_ORIGIN = Origin("file")

Replay = Callable[[Series], list[bytes]]
"""One contract's past to lines of JSON; picklable, so that another process can do it."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, or 2 where a file or an option is wrong."""
    options = _parser().parse_args(arguments)
    try:
        lines: Iterable[bytes] = options.act(options)
        for line in lines:
            sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()
    except BadFile as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Who reads has seen enough; nothing is left to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


@dataclass(frozen=True)
class _File:
    option: str
    layout: Layout


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m flashcur.backtest", description="The detectors over the past.")
    acts = parser.add_subparsers(required=True, metavar="spikes|adaptive|oi|funding|outcomes")

    def add(
        name: str, act: Callable[[argparse.Namespace], Iterable[bytes]], meaning: str, gives: str, *files: _File
    ) -> argparse.ArgumentParser:
        described = "\n\n".join(
            [f"{each.option}: {each.layout.name}, CSV with a header or Parquet\n{each.layout.help()}" for each in files]
        )
        one = acts.add_parser(
            name,
            help=meaning,
            description=meaning,
            epilog=f"{described}\n\nOther columns are ignored. {gives}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for each in files:
            one.add_argument(each.option, metavar="FILE", type=Path, required=True, help=each.layout.name)
        one.add_argument(
            "--symbol", metavar="S", help="the contract; of a file with a column symbol, the only one read"
        )
        one.set_defaults(act=act)
        return one

    spikes = add(
        "spikes",
        _spikes,
        "the canonical volume spike over closed hourly candles",
        "A line has symbol, hour, kind, ratio, volume_quote, direction.",
        _File("--candles", CANDLES),
    )
    spikes.add_argument("--multiple", type=_positive, default=SpikeRule().multiple, help="default %(default)g")
    spikes.add_argument("--floor", type=_positive, default=SpikeRule().floor, help="USDT, default %(default)g")
    add("adaptive", _adaptive, "the adaptive spike over closed hourly candles", _GIVES, _File("--candles", CANDLES))
    add("oi", _open_interest, "surges of open interest", _GIVES, _File("--values", OPEN_INTEREST))
    add("funding", _funding, "extremes of funding", _GIVES, _File("--payments", FUNDING))
    outcomes = add(
        "outcomes",
        _outcomes,
        "what the price did 1, 4 and 24 h after signals, against hours without one",
        _OUTCOMES_GIVE,
        _File("--candles", CANDLES),
    )
    outcomes.add_argument(
        "--signals", metavar="FILE", type=Path, required=True, help="lines that another of these commands wrote"
    )
    return parser


_GIVES = "A line has symbol, time, kind, severity, direction, quadrant, price, text and evidence."
_OUTCOMES_GIVE = """A line has kind, severity and quadrant (null: all of them), hours,
count, the median and quartiles of the moves in percent, hit_rate (moves in the
direction of the signal; up where none points anywhere), base_rate (the same in hours of the
same contracts without a signal), lift (one over the other; 1 is chance) and its 95 %
interval lift_low to lift_high, null where there are too few independent stretches of time.
Candles are of an hour: a signal within one is followed to the full hour nearest to the end
of its 1, 4 or 24 hours; one at the close of an hour exactly."""


def _spikes(options: argparse.Namespace) -> Iterator[bytes]:
    rule = SpikeRule(options.multiple, options.floor)
    return _replayed(options.candles, CANDLES, options.symbol, partial(_candles, "volume_spike", rule))


def _adaptive(options: argparse.Namespace) -> Iterator[bytes]:
    return _replayed(options.candles, CANDLES, options.symbol, partial(_candles, "adaptive_spike", None))


def _open_interest(options: argparse.Namespace) -> Iterator[bytes]:
    return _replayed(options.values, OPEN_INTEREST, options.symbol, _surges)


def _funding(options: argparse.Namespace) -> Iterator[bytes]:
    return _replayed(options.payments, FUNDING, options.symbol, _extremes)


def _replayed(path: Path, layout: Layout, symbol: str | None, replay: Replay) -> Iterator[bytes]:
    """The lines of all contracts of a file, contract by contract."""
    progress = Progress(sys.stderr)
    series = _read(path, layout, symbol, progress)
    done, rows = 0, sum(map(len, series))
    for each, lines in zip(series, _each(replay, series, rows), strict=True):
        done += len(each)
        progress.show("replaying", done / rows if rows else 1.0)
        if lines:
            progress.clear()
        yield from lines
    progress.clear()


def _read(path: Path, layout: Layout, symbol: str | None, progress: Progress) -> list[Series]:
    try:
        return read_series(path, layout, symbol, lambda share: progress.show("reading", share))
    finally:
        progress.clear()


def _each(replay: Replay, series: Sequence[Series], rows: int) -> Iterator[list[bytes]]:
    """`replay` of each series, in their order; on all cores where that is worth starting processes."""
    workers = min(os.cpu_count() or 1, len(series))
    if rows < MANY_ROWS or workers < 2:
        yield from map(replay, series)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_leave_interrupts) as pool:
        yield from pool.map(replay, series, chunksize=max(1, len(series) // (workers * 8)))


def _leave_interrupts() -> None:
    """Ctrl-C is for the process that was started; it ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _candles(detector: DetectorName, rule: SpikeRule | None, series: Series) -> list[bytes]:
    signals = replay_candles(_ORIGIN, series.symbol, candle_rows(series), detector, rule)
    return [orjson.dumps(_spike_line(each) if detector == "volume_spike" else _line(each)) for each in signals]


def _surges(series: Series) -> list[bytes]:
    return [
        orjson.dumps(_line(each)) for each in replay_open_interest(_ORIGIN, series.symbol, open_interest_rows(series))
    ]


def _extremes(series: Series) -> list[bytes]:
    return [orjson.dumps(_line(each)) for each in replay_funding(_ORIGIN, series.symbol, payment_rows(series))]


def _spike_line(found: Signal) -> dict[str, object]:
    value = found.evidence.value
    return {
        "symbol": found.symbol,
        "hour": _iso(found.period_ms),
        "kind": found.kind,
        "ratio": value("ratio"),
        "volume_quote": value("volume"),
        "direction": found.direction,
    }


def _line(found: Signal) -> dict[str, object]:
    return {
        "symbol": found.symbol,
        "time": _iso(found.event_ms),
        "kind": found.kind,
        "severity": found.severity,
        "direction": found.direction,
        "quadrant": found.quadrant,
        "price": found.price,
        "text": found.text,
        "evidence": {each.name: each.value for each in found.evidence.measures},
    }


def _iso(at_ms: int) -> str:
    return from_ms(at_ms).isoformat(timespec="seconds").replace("+00:00", "Z")


def _outcomes(options: argparse.Namespace) -> Iterator[bytes]:
    told = read_told(options.signals, options.symbol)
    series = _read(options.candles, CANDLES, options.symbol, Progress(sys.stderr))
    closes = {each.symbol: HourlyCloses(zip(each.times, each.required("close"), strict=True)) for each in series}
    busy: dict[str, set[int]] = {}
    for each in told:
        busy.setdefault(each.symbol, set()).add(-(-each.at_ms // HOUR_MS) * HOUR_MS)
    groups: dict[tuple[str, int | None, str | None], list[Told]] = {}
    for each in told:
        keys = {(each.kind, None, None), (each.kind, each.severity, None), (each.kind, None, each.quadrant)}
        for key in keys:
            groups.setdefault(key, []).append(each)
    ordered = sorted(groups, key=lambda key: (key[0], key[1] or 0, key[2] or ""))
    for hours in HORIZONS_H:
        base = Base(
            (
                hour
                for symbol in busy.keys() & closes.keys()
                for hour in closes[symbol].quiet(symbol, busy[symbol], hours)
            ),
            hours,
        )
        for key in ordered:
            summary = summarise(list(_moves(groups[key], closes, hours)), base)
            if summary is not None:
                yield orjson.dumps(_outcome_line(key, hours, summary))


def _moves(told: Iterable[Told], closes: Mapping[str, HourlyCloses], hours: int) -> Iterator[Outcome]:
    for each in told:
        of = closes.get(each.symbol)
        move = None if of is None else of.move(each.at_ms, hours, each.price)
        if move is not None:
            yield Outcome(each.symbol, each.at_ms, each.bullish, move)


def _outcome_line(key: tuple[str, int | None, str | None], hours: int, summary: Summary) -> dict[str, object]:
    kind, severity, quadrant = key
    lift = summary.lift
    return {
        "kind": kind,
        "severity": severity,
        "quadrant": quadrant,
        "hours": hours,
        "count": summary.count,
        "median_pct": summary.median * 100,
        "lower_quartile_pct": summary.lower_quartile * 100,
        "upper_quartile_pct": summary.upper_quartile * 100,
        "hit_rate": None if lift is None else lift.hit_rate,
        "base_rate": None if lift is None else lift.base_rate,
        "lift": None if lift is None else lift.value,
        "lift_low": None if lift is None else lift.low,
        "lift_high": None if lift is None else lift.high,
    }


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, was {text!r}")
    return value


if __name__ == "__main__":
    sys.exit(main())
