"""What of a library's trouble reaches the log: one line, and whole where the fault is ours."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisAway
from reflex.istate.manager.redis import StateManagerRedis
from reflex.utils.token_manager import RedisTokenManager

from flashcur.state.wire.failures import log_handler_error, shorten_library_records
from tests.support.programs import RedisServer
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def factory() -> Iterator[None]:
    before = logging.getLogRecordFactory()
    shorten_library_records()
    yield
    logging.setLogRecordFactory(before)


def fail(error: Exception) -> Exception:
    try:
        raise error
    except Exception as raised:
        return raised


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return caplog.text.splitlines()


@pytest.mark.parametrize("name", ["engineio.server", "socketio.server"])
def test_what_a_message_breaks_in_socket_io_is_one_line(name: str, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger(name).error("message async handler %s", "error", exc_info=fail(KeyError("100 %s\nof it")))
    assert len(lines(caplog)) == 1
    assert "message async handler error: KeyError: " in caplog.text
    assert "test_failures.py:" in caplog.text


def test_a_lost_redis_in_a_task_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("asyncio").error(
        "Task exception was never retrieved\nfuture: <Task>", exc_info=fail(RedisAway("connection refused"))
    )
    assert len(lines(caplog)) == 1
    assert "Task exception was never retrieved: ConnectionError: connection refused" in caplog.text


@pytest.mark.parametrize("name", ["asyncio", "reflex.app", "uvicorn.error", "flashcur.web.process"])
def test_a_fault_of_ours_keeps_its_traceback(name: str, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger(name).error("failed", exc_info=fail(KeyError("x")))
    assert "Traceback" in caplog.text


def test_a_handler_without_redis_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    log_handler_error(fail(RedisAway("connection refused")))
    assert len(lines(caplog)) == 1


def test_it_is_put_in_place_once() -> None:
    first = logging.getLogRecordFactory()
    shorten_library_records()
    assert logging.getLogRecordFactory() is first


async def test_reflex_s_subscriptions_that_lose_redis_are_single_lines(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    redis = Redis.from_url(own_redis.url)
    tokens, states = RedisTokenManager(redis), StateManagerRedis(redis=redis)
    tokens._ensure_socket_record_task()
    states._ensure_lock_task()
    await asyncio.sleep(0.5)
    own_redis.kill()

    def gave_up() -> bool:
        tasks = (tokens._socket_record_task, states._lock_task)
        return all(task is not None and task.done() for task in tasks)

    await eventually(gave_up, "the subscriptions' end", 30)
    tokens._socket_record_task = states._lock_task = None
    gc.collect()
    assert caplog.text.count("Task exception was never retrieved: ConnectionError: ") == 2
    assert "Traceback" not in caplog.text
    assert all("\n" not in record.getMessage() for record in caplog.records)
    await redis.aclose()
