"""The running app for tests that speak to it over sockets, on FlashCur's own server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.app import App, Exchange, running_app, simulated_exchange


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with simulated_exchange(symbols=120) as exchange:
        yield exchange


@pytest.fixture(scope="module")
def audience() -> str:
    return "elite"


@pytest.fixture(scope="module")
def app(exchange: Exchange, audience: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with running_app(tmp_path_factory.mktemp("app"), exchange, FLASHCUR_DEV_AUDIENCE=audience) as app:
        yield app
