"""Nothing from outside reaches the log unescaped or long, whoever logs it."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from flashcur.services.kit import logs
from flashcur.services.kit.logs import LONGEST, escaped, guard_records

HOSTILE = "\x1b[31mred\r\n2026-11-25 ERROR forged \u202eevil\x00" + "x" * 500_000


@pytest.fixture(autouse=True)
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(logging.LogRecord)
    monkeypatch.setattr(logs, "_briefly", [])
    guard_records()
    yield
    logging.setLogRecordFactory(before)


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What a server's handler writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


def fail(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as raised:
        return raised


@pytest.mark.parametrize("name", ["flashcur.web.process", "reflex.state", "uvicorn.error", "asyncio", "something.else"])
@pytest.mark.parametrize("how", ["argument", "named", "message", "error"])
def test_one_line_escaped_and_cut(name: str, how: str, written: io.StringIO) -> None:
    logger = logging.getLogger(name)
    if how == "argument":
        logger.warning("a visitor sent %s, %d times", HOSTILE, 3)
    elif how == "named":
        logger.warning("a visitor sent %(what)s", {"what": HOSTILE})
    elif how == "message":
        logger.warning(f"Error transforming event argument 'x' with value '{HOSTILE}'")
    else:
        logger.warning("failed: %s", ValueError(HOSTILE))
    lines = written.getvalue().splitlines()
    assert len(lines) == 1
    assert lines[0].isprintable()
    assert r"\x1b[31mred\r\n2026" in lines[0]
    # Our own messages are written by us: how long they are is ours to say.
    assert len(lines[0]) < (10_100 if (how, name.partition(".")[0]) == ("message", "flashcur") else 300)


def test_the_errors_of_a_traceback_are_escaped_and_its_frames_stay(written: io.StringIO) -> None:
    error = fail(RuntimeError(f"outer {HOSTILE}"), fail(ValueError(f"inner {HOSTILE}")))
    logging.getLogger("flashcur.x").error("%s failed", "a handler", exc_info=error)
    text = written.getvalue()
    assert len(text) < 2_000
    assert text.startswith("ERROR a handler failed\nTraceback (most recent call last):\n")
    assert "test_logs.py" in text
    assert r"RuntimeError: outer \x1b[31mred\r\n" in text
    assert r"ValueError: inner \x1b[31mred\r\n" in text
    assert "\x1b" not in text
    assert not any(line.startswith("2026-11-25") for line in text.splitlines())


def test_harmless_records_are_left_as_they_are(written: io.StringIO) -> None:
    record = logging.getLogger("uvicorn.error").makeRecord("uvicorn.error", 20, "x", 1, "pid [%d] é", (7,), None)
    assert (record.msg, record.args) == ("pid [%d] é", (7,))
    long = "of our own making " * 30
    logging.getLogger("flashcur.x").warning("%s: " + long.strip(), "short")
    assert written.getvalue() == f"WARNING short: {long.strip()}\n"


def test_a_wrong_call_is_one_line_too(written: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("flashcur.x").warning("%d of %d", HOSTILE, 1)
    assert "do not fit" in written.getvalue()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text", ["", "plain", "é€", "x" * LONGEST])
def test_short_plain_text_stays(text: str) -> None:
    assert escaped(text) == text


@pytest.mark.parametrize("text", ["x" * (LONGEST + 1), "\n" * LONGEST, "\ud800", "\x7f\x9b31m", HOSTILE])
def test_other_text_is_printable_and_short(text: str) -> None:
    assert escaped(text).isprintable()
    assert len(escaped(text)) <= LONGEST
    escaped(text).encode()
