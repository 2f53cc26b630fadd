"""What providers answer: their words, the wait that stands among them, and answers that mean the same everywhere."""

from __future__ import annotations

import re
from math import isfinite
from typing import Any, cast

import orjson

from flashcur.domain.delivery.text_fit import one_line
from flashcur.errors import DeliveryError, Unanswered
from flashcur.services.notify.dialling import Answer
from flashcur.services.notify.retry_after import retry_after_s

MOST_WAIT_S = 86_400.0
"""No answer puts a message off for longer; most are of no use by then."""
MOST_WORDS = 200
"""Characters of a provider's words that are kept."""
_HIDDEN = re.compile(r"<!--|<script\b|<style\b", re.IGNORECASE)
_ENDS = {
    "<!--": re.compile("-->"),
    "<script": re.compile(r"</script\s{0,9}>", re.IGNORECASE),
    "<style": re.compile(r"</style\s{0,9}>", re.IGNORECASE),
}
_WORDS_IN = ("description", "message", "error", "detail", "title")


def json_object(answer: Answer) -> dict[str, Any]:
    """The answer's JSON object; empty where it is something else."""
    try:
        value = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def words(answer: Answer) -> str:
    """What the provider said, in a line for people: a JSON's text, or the body without its tags; may be empty."""
    said = json_object(answer)
    told = next((said[name] for name in _WORDS_IN if isinstance(said.get(name), str)), None)
    if told is None:
        told = without_tags(answer.body.decode("utf-8", "replace"))
    return one_line(told)[:MOST_WORDS]


def without_tags(text: str) -> str:
    """The text with a space for each tag and comment, and for scripts and styles whole; what never ends stays as it is.

    The time grows with the length alone, whatever a server makes up: it is spent in the event loop.
    """
    kept: list[str] = []
    unended: set[str] = set()
    at = 0
    while (begin := text.find("<", at)) >= 0:
        end = _end_of_hidden(text, begin, unended)
        if end < 0:
            end = text.find(">", begin) + 1
        if end <= 0:
            break
        kept += (text[at:begin], " ")
        at = end
    kept.append(text[at:])
    return "".join(kept)


def _end_of_hidden(text: str, begin: int, unended: set[str]) -> int:
    """Where a comment, script or style ends that begins there; -1 where none does, or it has no end. `unended` are
    those whose end was looked for in vain: there is none further on either."""
    opened = _HIDDEN.match(text, begin)
    if opened is None:
        return -1
    what = opened[0].lower()
    if what in unended:
        return -1
    closed = _ENDS[what].search(text, opened.end())
    if closed is None:
        unended.add(what)
        return -1
    return closed.end()


def told(provider: str, answer: Answer) -> str:
    """`Discord answered 404: Unknown Webhook`."""
    said = words(answer)
    return f"{provider} answered {answer.status}" + (f": {said}" if said else "")


def bounded_s(asked: object, otherwise: float) -> float:
    """`asked` where it is a number of seconds to wait, a day at most; else `otherwise`."""
    if isinstance(asked, bool) or not isinstance(asked, int | float) or not isfinite(asked) or asked < 0:
        return otherwise
    return min(float(asked), MOST_WAIT_S)


def failed(provider: str, answer: Answer, now_ms: int) -> DeliveryError:
    """What an answer means that is neither a success nor about this message: it is tried again, and not before the
    time for which it says that the provider is away. `now_ms`: Unix ms."""
    away_s = retry_after_s(answer.headers, now_ms, 0.0)
    # Somebody in between waited in vain, for us or for whoever has it.
    kind = Unanswered if answer.status in (408, 504) else DeliveryError
    return kind(told(provider, answer), retry_after=away_s)
