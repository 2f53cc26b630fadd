"""`python -m flashcur.engine`: the engine alone, for web processes with FLASHCUR_ENGINE=external or on standby."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

from flashcur.engine.engine import Engine
from flashcur.errors import BusError, ConfigError, DatabaseError
from flashcur.services.bus import RedisBus
from flashcur.services.kit.logs import guard_records
from flashcur.services.kit.metrics import Metrics
from flashcur.services.kit.supervision import Supervisor
from flashcur.services.lease import make_lease
from flashcur.services.storage.database import Database
from flashcur.settings import Settings

logger = logging.getLogger("flashcur.engine")

EXIT_CANNOT_START = 2


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError, DatabaseError or BusError when it cannot start."""
    if settings.redis_url is None:
        raise ConfigError("REDIS_URL: expected the address of a Redis, was unset: without one, only the web process's "
                          "own engine can reach its pages")  # fmt: skip
    database = Database(settings)
    bus = RedisBus(settings.redis_url)
    try:
        await asyncio.to_thread(database.prepare)
        await bus.ping()
        engine = Engine(settings, bus=bus, database=database, lease=make_lease(settings), metrics=Metrics())
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with Supervisor(cancel_again_s=3.0) as tasks:
            tasks.start("engine", engine.run)
            await stop.wait()
    finally:
        await bus.close()
        database.close()
    logger.info("stopped")


def main() -> None:
    """Run the engine of the process environment's settings; exits with `EXIT_CANNOT_START` when it cannot start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    guard_records()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        asyncio.run(run(Settings.load()))
    except (ConfigError, DatabaseError, BusError) as error:
        print(f"flashcur: {error}", file=sys.stderr)
        raise SystemExit(EXIT_CANNOT_START) from None


if __name__ == "__main__":
    main()
