"""Devices by the User-Agent headers that browsers really send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashcur.domain.devices import device

WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (f"{WINDOWS} Chrome/138.0.0.0 Safari/537.36", "Chrome on Windows"),
        (f"{WINDOWS} Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0", "Edge on Windows"),
        (f"{WINDOWS} Chrome/138.0.0.0 Safari/537.36 OPR/120.0.0.0", "Opera on Windows"),
        (f"{MAC}/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15", "Safari on macOS"),
        (f"{MAC}/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36", "Chrome on macOS"),
        (f"{IPHONE} Version/18.5 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (f"{IPHONE} CriOS/138.0.7204.33 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        (f"{IPHONE} FxiOS/140.0 Mobile/15E148 Safari/604.1", "Firefox on iPhone"),
        (f"{ANDROID} Chrome/138.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        (f"{ANDROID} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36", "Samsung Internet on Android"),
        (f"{ANDROID} EdgA/138.0.0.0 Chrome/138.0.0.0 Mobile Safari/537.36", "Edge on Android"),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 Chrome/138.0.0.0 Safari/537.36",
         "Chrome on ChromeOS"),
        ("curl/8.14.1", "curl"),
        ("python-httpx/0.28.1", "Python"),
        ("", "Unknown device"),
        ("something else", "Unknown device"),
    ],
)  # fmt: skip
def test_a_device_is_named_as_its_owner_calls_it(user_agent: str, name: str) -> None:
    assert device(user_agent) == name


@given(st.text())
def test_any_header_gives_a_short_name(user_agent: str) -> None:
    assert 0 < len(device(user_agent)) < 40
