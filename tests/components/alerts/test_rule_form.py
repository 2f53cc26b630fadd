"""What the form of a rule shows, whatever the account has."""

from __future__ import annotations

from typing import Any

from flashcur.components.alerts import rule_form


def test_what_is_wrong_with_the_watchlist_is_said_with_and_without_one() -> None:
    choice: Any = rule_form._watchlist().children[0]  # pyright: ignore[reportPrivateUsage]
    assert len(choice.children) == 2
    for branch in choice.children:
        assert 'faults["scope.watchlist_id"]' in str(branch.render())
