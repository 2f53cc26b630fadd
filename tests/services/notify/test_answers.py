"""What is made of a provider's answer, whatever it is."""

from __future__ import annotations

import pytest

from flashcur.services.notify.answers import failed, without_tags, words
from flashcur.services.notify.dialling import Answer


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<html><head><title>Not here</title></head><body>Gone</body></html>", "Not here Gone"),
        ("<style>p { color: red }</style><script>alert('<b>')</script >Down<!-- <b>secret</b> --> again", "Down again"),
        ("<SCRIPT src=x>let a</Script>Down", "Down"),
        ("at most 5 < 6 characters", "at most 5 < 6 characters"),
        ("never ends: <script>one two", "never ends: one two"),
        ("<!-- never ends", "<!-- never ends"),
        ("<!-- never ends <b>bold</b>", "bold"),
        ("<scripture>a</scripture>", "a"),
        ("", ""),
    ],
)
def test_words_of_a_page(body: str, said: str) -> None:
    assert words(Answer(500, {}, body.encode())) == said


@pytest.mark.parametrize("again", ["<", "<!--", "<script", "<script>", "<style ", "</script", "<!-->", "<a", "> <"])
def test_no_answer_takes_more_time_than_its_length(again: str) -> None:
    """Where the time grew with the square of it, these would take days."""
    without_tags(again * (8_000_000 // len(again)))


@pytest.mark.parametrize("status", [400, 408, 500, 502, 503, 504])
def test_a_limit_that_was_not_reached_puts_nothing_off(status: int) -> None:
    """Many servers say with every answer when their count of requests begins anew."""
    headers = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4999", "X-RateLimit-Reset": "4600"}
    assert failed("The server", Answer(status, headers, b"oops"), 1_000_000).retry_after == 0
    assert failed("The server", Answer(status, {**headers, "Retry-After": "30"}, b""), 1_000_000).retry_after == 30
