"""Passwords: which are good enough, and their hashes.

argon2-cffi hashes (argon2id), zxcvbn tells what everybody would guess: it knows lists of common passwords, and sees
through repeats, sequences and a number at the end. Both are the maintained libraries of their kind.
"""

from __future__ import annotations

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from flashcur.errors import Refusal, Unavailable

MIN_CHARACTERS = 12
MAX_CHARACTERS = 200
_LEAST_SCORE = 2
"""zxcvbn's score of what takes more than a million guesses."""
_SCORED_CHARACTERS = 72
"""What zxcvbn looks at: its time grows with the square of the length."""

# OWASP's first choice of 2024 for argon2id: 19 MiB, two passes, one lane; 19 ms on a core of a small server.
_PASSES, _MEMORY_KIB, _LANES = 2, 19_456, 1
_MOST_WAITING = 200
"""Passwords that may wait for a turn; more would take longer than anybody waits."""


def check_password(password: str, *about: str, field: str = "password") -> str:
    """`password` as it is hashed. Raises Refusal when it is too short, too long, or easily guessed.

    `about`: what an attacker would try first, such as the address of the account.
    """
    password = normalised(password)
    if len(password) < MIN_CHARACTERS:
        raise Refusal(f"Use at least {MIN_CHARACTERS} characters: this has {len(password)}.", field=field)
    if len(password) > MAX_CHARACTERS:
        raise Refusal(f"Use at most {MAX_CHARACTERS} characters: this has {len(password)}.", field=field)
    # The library ships no types.
    score: Any = import_module("zxcvbn").zxcvbn
    hints = ["flashcur", *(part for text in about for part in (text, *text.replace("@", ".").split(".")) if part)]
    if score(password[:_SCORED_CHARACTERS], user_inputs=hints)["score"] < _LEAST_SCORE:
        raise Refusal(
            "This is among the first passwords anybody would try. Three or four unrelated words are easy to remember "
            "and hard to guess.",
            field=field,
        )
    return password


def normalised(password: str) -> str:
    """One form of each character, so that two keyboards type the same password (NIST SP 800-63B)."""
    return unicodedata.normalize("NFKC", password)


class Hasher:
    """Hashes passwords in a thread of its own, one at a time: fifty at once must not take the processor from the page.

    Close it with `close`.
    """

    def __init__(self) -> None:
        self._argon2 = PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=_LANES)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="passwords")
        self._waiting = 0
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """The hash in PHC form. Raises Unavailable when too many wait already."""
        return await self._in_turn(self._argon2.hash, normalised(password))

    async def verify(self, known: str | None, password: str) -> bool:
        """Whether `password` is the one hashed as `known`; without one it takes as long and is never right."""
        password = normalised(password)
        if len(password) > MAX_CHARACTERS:
            # Nobody has one; its beginning must not pass for the whole.
            known, password = None, ""
        return await self._in_turn(self._verify, known, password)

    def outdated(self, known: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        return self._argon2.check_needs_rehash(known)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_turn(self, work: Any, *arguments: Any) -> Any:
        if self._waiting >= _MOST_WAITING:
            raise Unavailable("Too many people are signing in at this moment: try again in a few seconds.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
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
