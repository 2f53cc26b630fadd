"""Passwords: which are good enough, and their hashes.

argon2-cffi hashes (argon2id); zxcvbn tells what anybody would guess: it knows lists of common passwords and sees
through repeats, sequences and a number at the end.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any
from weakref import WeakValueDictionary

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from flashcur.errors import Refusal, Unavailable

MIN_CHARACTERS = 12
MAX_CHARACTERS = 200
_LEAST_SCORE = 2
"""zxcvbn's score of what takes more than a million guesses."""
_SCORED_CHARACTERS = 20
"""What is scored at a time: zxcvbn's time explodes with the length (3 s for 72 characters made for it, 0.15 s here)."""
_LEAST_OWN_LETTERS = 4
"""Letters of a password besides what an attacker knows of the account."""

# OWASP's first choice of 2024 for argon2id: 19 MiB, two passes, one lane; 19 ms on a core of a small server.
_PASSES, _MEMORY_KIB, _LANES = 2, 19_456, 1
_MOST_WAITING = 200
"""Passwords that may wait for a turn; more would take longer than anybody waits."""


def check_length(password: str, field: str = "password") -> str:
    """`password` in the form that is hashed. Raises Refusal, on `field`, when it is too short or too long."""
    password = normalised(password)
    if len(password) < MIN_CHARACTERS:
        raise Refusal(f"Use at least {MIN_CHARACTERS} characters: this has {len(password)}.", field=field)
    if len(password) > MAX_CHARACTERS:
        raise Refusal(f"Use at most {MAX_CHARACTERS} characters: this has {len(password)}.", field=field)
    return password


def guessable(password: str, about: Sequence[str]) -> bool:
    """Whether `password` is among the first that somebody would try who knows what is `about` the account.

    A long one is hard to guess if its beginning or its end is. Blocks, for up to 0.3 s of processor time.
    """
    hints = {"flashcur", *(part for text in about for part in (text, *text.replace("@", ".").split(".")) if part)}
    own = password.lower()
    for hint in sorted(hints, key=len, reverse=True):
        own = own.replace(hint.lower(), "") if len(hint) >= _LEAST_OWN_LETTERS else own
    if own != password.lower() and sum(map(str.isalpha, own)) < _LEAST_OWN_LETTERS:
        return True
    # The library ships no types.
    score: Any = import_module("zxcvbn").zxcvbn
    parts = dict.fromkeys((password[:_SCORED_CHARACTERS], password[-_SCORED_CHARACTERS:]))
    return all(score(part, user_inputs=list(hints))["score"] < _LEAST_SCORE for part in parts)


def normalised(password: str) -> str:
    """One form of each character, so that two keyboards type the same password (NIST SP 800-63B)."""
    return unicodedata.normalize("NFKC", password)


class Hasher:
    """Hashes passwords in a thread of its own, one at a time: fifty at once must not take the processor from the page.
    Scoring has another thread, so that it holds up nobody who signs in. Of one account one password at a time has a
    place in the queue, so that an account with thirty sockets holds up others no longer than any other does.

    What waits for a thread raises Unavailable when too many wait already. Close it with `close`.
    """

    def __init__(self) -> None:
        self._argon2 = PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=_LANES)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="passwords")
        self._scoring = ThreadPoolExecutor(1, thread_name_prefix="passwords scored")
        self._waiting = 0
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._nobody: str | None = None

    async def check(self, password: str, *about: str, field: str = "password") -> None:
        """Raise Refusal, on `field`, when a password (as `check_length` returned it) is easily guessed.

        `about`: what an attacker would try first, such as the address of the account.
        """
        if await self._in_turn(guessable, password, about, thread=self._scoring):
            raise Refusal(
                "This is among the first passwords anybody would try. Three or four unrelated words are easy to "
                "remember and hard to guess.",
                field=field,
            )

    async def hash(self, password: str, *, whose: str) -> str:
        """The password's argon2id hash in PHC form (`$argon2id$…`), in some 20 ms of processor time.

        `whose`: the account, or the address; of each one waits in the queue at a time.
        """
        async with self._turn(whose):
            return await self._in_turn(self._argon2.hash, normalised(password))

    async def verify(self, known: str | None, password: str, *, whose: str) -> bool:
        """Whether `password` is the one hashed as `known`. None takes as long and is never right.

        `whose`: as for `hash`.
        """
        password = normalised(password)
        if len(password) > MAX_CHARACTERS:
            # Nobody has one; its beginning must not pass for the whole.
            known, password = None, ""
        async with self._turn(whose):
            return await self._in_turn(self._verify, known, password)

    def outdated(self, known: str) -> bool:
        """Whether a hash was made with parameters other than those used now."""
        return self._argon2.check_needs_rehash(known)

    def close(self) -> None:
        """End both threads without waiting; what has not begun is cancelled."""
        for thread in (self._thread, self._scoring):
            thread.shutdown(wait=False, cancel_futures=True)

    def _turn(self, whose: str) -> asyncio.Lock:
        """Lasts as long as somebody waits for it."""
        turn = self._turns.get(whose)
        if turn is None:
            turn = self._turns[whose] = asyncio.Lock()
        return turn

    async def _in_turn(self, work: Any, *arguments: Any, thread: ThreadPoolExecutor | None = None) -> Any:
        if self._waiting >= _MOST_WAITING:
            raise Unavailable("Too many people are signing in at this moment: try again in a few seconds.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(thread or self._thread, work, *arguments)
        finally:
            self._waiting -= 1

    def _verify(self, known: str | None, password: str) -> bool:
        if known is None:
            # An address without an account must not be told from one with by the time an answer takes.
            if self._nobody is None:
                self._nobody = self._argon2.hash("nobody has this password")
            self._matches(self._nobody, password)
            return False
        return self._matches(known, password)

    def _matches(self, known: str, password: str) -> bool:
        try:
            return self._argon2.verify(known, password)
        except (Argon2Error, InvalidHashError, UnicodeEncodeError):
            return False
