"""`python -m tests.support.lease_holder`: take the lease of the configured environment, say its epoch, keep it."""

from __future__ import annotations

import asyncio

from flashcur.services.lease import make_lease
from flashcur.settings import Settings


async def main() -> None:
    async with make_lease(Settings.load()).hold() as tenure:
        print(tenure.epoch, flush=True)
        await tenure.lost.wait()
        print("lost", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
