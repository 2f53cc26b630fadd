"""One active engine: on a file, in PostgreSQL and in Redis, also when the holder is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import redis

from flashcur.services.lease import TAKEOVER_S, FileLease, Lease, PostgresLease, RedisLease, Tenure, make_lease
from flashcur.settings import Settings
from tests.support.programs import PostgresServer, RedisServer, postgres_pair
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["file", "postgresql", "redis"])
def lease_environ(request: pytest.FixtureRequest, environ: dict[str, str]) -> dict[str, str]:
    """The environment of engines that compete for one lease."""
    if request.param == "postgresql":
        environ["DATABASE_URL"] = request.getfixturevalue("postgres_url")
    elif request.param == "redis":
        environ["REDIS_URL"] = request.getfixturevalue("redis_url")
        with redis.Redis.from_url(environ["REDIS_URL"]) as client:
            client.flushdb()
    return environ


def lease(environ: dict[str, str]) -> Lease:
    return make_lease(Settings.load(environ))


@asynccontextmanager
async def in_office(candidate: Lease, within_s: float = 20.0) -> AsyncIterator[Tenure]:
    holding = candidate.hold()
    async with asyncio.timeout(within_s):
        tenure = await holding.__aenter__()
    try:
        yield tenure
    finally:
        await holding.__aexit__(None, None, None)


@contextmanager
def holder_process(environ: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that holds the lease, and its epoch."""
    command = [sys.executable, "-m", "tests.support.lease_holder"]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environ}, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({}, FileLease),
        ({"DATABASE_URL": "postgresql://u@127.0.0.1/d"}, PostgresLease),
        ({"DATABASE_URL": "postgresql://u@127.0.0.1/d", "REDIS_URL": "redis://127.0.0.1"}, RedisLease),
    ],
)
def test_the_settings_choose_where_the_lease_is(
    environ: dict[str, str], more: dict[str, str], kind: type[Lease]
) -> None:
    assert isinstance(lease({**environ, **more}), kind)


async def test_only_one_holds_it_and_epochs_grow(lease_environ: dict[str, str]) -> None:
    first, second = lease(lease_environ), lease(lease_environ)

    async def next_epoch() -> int:
        async with in_office(second) as tenure:
            assert not first.held
            return tenure.epoch

    async with in_office(first) as tenure:
        assert first.held
        assert not tenure.lost.is_set()
        standby = asyncio.create_task(next_epoch())
        await asyncio.sleep(1.2)  # longer than two polls of the standby: it asked, and was refused
        assert not standby.done()
        assert not second.held
    assert await standby > tenure.epoch


async def test_a_killed_holder_is_replaced(lease_environ: dict[str, str]) -> None:
    with holder_process(lease_environ) as (process, epoch):
        process.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        async with in_office(lease(lease_environ), TAKEOVER_S) as tenure:
            assert tenure.epoch > epoch
            assert time.monotonic() - killed < TAKEOVER_S


async def test_a_cancelled_standby_leaves_nothing_behind(lease_environ: dict[str, str]) -> None:
    async with in_office(lease(lease_environ)):
        standby = asyncio.create_task(lease(lease_environ).hold().__aenter__())
        await asyncio.sleep(0.6)  # into its second poll
        standby.cancel()
        with pytest.raises(asyncio.CancelledError):
            await standby
    async with in_office(lease(lease_environ)):
        pass


async def test_a_paused_holder_learns_that_it_lost_the_lease(redis_url: str, environ: dict[str, str]) -> None:
    environ["REDIS_URL"] = redis_url
    with holder_process(environ) as (process, _):
        process.send_signal(signal.SIGSTOP)
        async with in_office(lease(environ), TAKEOVER_S):
            process.send_signal(signal.SIGCONT)
            assert process.stdout
            assert await asyncio.to_thread(process.stdout.readline) == "lost\n"


async def test_redis_that_comes_back_empty_keeps_its_holder(own_redis: RedisServer, environ: dict[str, str]) -> None:
    environ["REDIS_URL"] = own_redis.url
    async with in_office(lease(environ)) as tenure:
        own_redis.kill()
        await asyncio.to_thread(own_redis.start)
        with redis.Redis.from_url(own_redis.url) as client:
            await eventually(lambda: bool(client.exists("flashcur:lease:engine")), "the lease to be there again")
        assert not tenure.lost.is_set()


async def test_without_redis_the_lease_is_lost_before_it_expires(
    own_redis: RedisServer, environ: dict[str, str]
) -> None:
    environ["REDIS_URL"] = own_redis.url
    candidate = lease(environ)
    async with in_office(candidate) as tenure:
        own_redis.kill()
        await eventually(tenure.lost.is_set, "the loss to be noticed", within_s=6)
        assert not candidate.held
    starting = asyncio.create_task(asyncio.to_thread(own_redis.start))
    async with in_office(candidate, 30) as again:
        assert again.epoch > tenure.epoch
    await starting


async def test_without_postgresql_the_lease_is_lost(own_postgres: PostgresServer, environ: dict[str, str]) -> None:
    environ["DATABASE_URL"] = own_postgres.create_database("lease")
    async with in_office(lease(environ)) as tenure:
        own_postgres.stop()
        await eventually(tenure.lost.is_set, "the loss to be noticed", within_s=6)


async def test_the_lease_goes_to_whoever_asks_first_after_postgresql_failed_over(environ: dict[str, str]) -> None:
    with postgres_pair() as pair:
        pair.primary.create_database("lease")
        environ["DATABASE_URL"] = pair.url("lease")
        async with in_office(lease(environ)) as tenure:
            await asyncio.to_thread(pair.fail_over)
            await eventually(tenure.lost.is_set, "the loss to be noticed", within_s=6)
            async with in_office(lease(environ), 30) as again:
                assert again.epoch > tenure.epoch


async def test_a_clock_set_back_does_not_turn_epochs_back(tmp_path: Path) -> None:
    path = tmp_path / "engine.lock"
    path.write_text("99999999999999\n")
    async with in_office(FileLease(path)) as tenure:
        assert tenure.epoch == 100000000000000
