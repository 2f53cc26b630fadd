"""`python -m flashcur.services.billing.sandbox --port 8420`: the payment sandbox alone.

Prints one JSON line with its address and its prices once it listens. With `--exit-with-stdin` it ends when its standard
input is closed, which is how a child process notices that its parent is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from flashcur.domain.plans import PLANS
from flashcur.services.billing.sandbox import stock
from flashcur.services.billing.sandbox.records import add_endpoint
from flashcur.services.billing.sandbox.server import StripeSandbox
from flashcur.services.kit.standalone import cannot_listen, told_to_end


def main(argv: list[str] | None = None) -> int:
    """Run until interrupted; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m flashcur.services.billing.sandbox", description="A payment server that moves no money."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on, 0 for a free one (default: 0)")
    parser.add_argument("--seed", type=int, default=1, help="ids follow from it (default: 1)")
    parser.add_argument("--state", type=Path, help="file that everything is kept in (default: none)")
    parser.add_argument("--webhook", default="", help="address that all events are sent to")
    parser.add_argument("--secret", default="whsec_sandbox", help="what they are signed with (default: %(default)s)")
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when standard input is closed")
    options = parser.parse_args(argv)
    try:
        return asyncio.run(_serve(options))
    except (ValueError, KeyError) as error:
        print(f"sandbox: {options.state} cannot be read: {error}", file=sys.stderr)
    except BrokenPipeError:
        # Whoever started it is gone already.
        return 0
    except OSError as error:
        print(f"sandbox: {cannot_listen(options.host, options.port, error)}", file=sys.stderr)
    return 2


async def _serve(options: argparse.Namespace) -> int:
    sandbox = StripeSandbox(seed=options.seed, state=options.state)
    stock.fill(sandbox.shop)
    if options.webhook:
        # Where it was sent to before does not count: the port of the product may be another one today.
        for endpoint in list(sandbox.ledger.all("we_")):
            del sandbox.ledger.objects[endpoint["id"]]
        add_endpoint(sandbox.shop, options.webhook, ["*"], None, options.secret)
    url = await sandbox.start(options.host, options.port)
    finished = told_to_end(with_stdin=options.exit_with_stdin)
    prices = {
        f"{plan.audience}.{period}": stock.price_id(plan.audience, period)
        for plan in PLANS.values() if plan.monthly
        for period in stock.PERIODS
    }  # fmt: skip
    print(json.dumps({"url": url, "prices": prices}), flush=True)
    try:
        await finished.wait()
    finally:
        await sandbox.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
