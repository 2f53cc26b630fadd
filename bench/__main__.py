"""`python -m bench [name...] [--quick] [--sockets 2000,5000]`: run benchmarks and write docs/performance.md."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable

from bench.options import Options
from bench.process import ProgramFailed
from bench.report import Table, machine, write

NAMES = (
    "frame",
    "detectors",
    "rules",
    "signals",
    "stored",
    "delivery",
    "kills",
    "backtest",
    "redis",
    "feed",
    "page",
    "accounts",
    "tabs",
    "sockets",
)

Run = Callable[[Options], Table]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="FlashCur's figures beside its peers'.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"what to run: {', '.join(NAMES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="short runs, the document is left as it is")
    parser.add_argument(
        "--sockets", default="2000,5000,10000", help="how many sockets, a list (default: %(default)s; quick: 200)"
    )
    options = parser.parse_args(argv)
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"expected {', '.join(NAMES)}, was {', '.join(sorted(unknown))}")
    sockets = (200,) if options.quick else tuple(int(number) for number in options.sockets.split(","))
    failed = False
    for name in options.names or NAMES:
        run: Run = importlib.import_module(f"bench.{name}").run
        header = machine()
        try:
            table = run(Options(quick=options.quick, sockets=sockets))
        except ProgramFailed as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = True
            continue
        print(f"\n{table.text()}\n", flush=True)
        if not options.quick:
            write(table, header)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
