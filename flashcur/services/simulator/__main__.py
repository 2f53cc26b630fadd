"""`python -m flashcur.services.simulator --port 9900 --symbols 500 --seed 1`: the simulated exchange alone.

Prints one JSON line with its addresses once it listens. With `--exit-with-stdin` it ends when its standard input is
closed, which is how a child process notices that its parent is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

from flashcur.services.kit.standalone import cannot_listen, told_to_end
from flashcur.services.simulator.exchange import SimulatedExchange


def main(argv: list[str] | None = None) -> int:
    """Run until interrupted; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m flashcur.services.simulator", description="A simulated exchange.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on, 0 for a free one (default: 0)")
    parser.add_argument("--symbols", type=int, default=500, help="number of contracts, up to 1000 (default: 500)")
    parser.add_argument("--seed", type=int, default=1, help="the market follows from it (default: 1)")
    parser.add_argument("--still", action="store_true", help="no contract comes or goes unless it is ordered")
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when standard input is closed")
    options = parser.parse_args(argv)
    try:
        exchange = SimulatedExchange(symbols=options.symbols, seed=options.seed, listings=not options.still)
        return asyncio.run(_serve(exchange, options.host, options.port, options.symbols, options.exit_with_stdin))
    except ValueError as error:
        print(f"simulator: {error}", file=sys.stderr)
    except BrokenPipeError:
        # Whoever started it is gone already.
        return 0
    except OSError as error:
        print(f"simulator: {cannot_listen(options.host, options.port, error)}", file=sys.stderr)
    return 2


async def _serve(exchange: SimulatedExchange, host: str, port: int, symbols: int, exit_with_stdin: bool) -> int:
    await exchange.start(host, port)
    finished = told_to_end(with_stdin=exit_with_stdin)
    line = {"rest_url": exchange.rest_url, "ws_url": exchange.ws_url, "port": exchange.port, "symbols": symbols}
    print(json.dumps(line), flush=True)
    try:
        await finished.wait()
    finally:
        await exchange.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
