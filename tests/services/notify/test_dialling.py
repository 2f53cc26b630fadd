"""What is dialled, and what is said where no answer comes."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest

from flashcur.errors import DeliveryError, Refused, Unanswered
from flashcur.services.notify.dialling import MAX_ANSWER, THREADS, Dialler, Forbidden, guarded_socket
from tests.domain.delivery.test_web_address import INSIDE
from tests.support.vendor import HTML, Reply, Vendor, serving
from tests.support.waiting import eventually


@pytest.fixture
async def server() -> AsyncIterator[Vendor]:
    async with serving(Vendor()) as vendor:
        yield vendor


@pytest.fixture
async def dialler() -> AsyncIterator[Dialler]:
    made = Dialler(allow_private=True)
    yield made
    await made.close()


class Names:
    """A name server that gives another answer each time."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, family: int) -> Sequence[tuple[int, str]]:
        self.asked.append(host)
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [(socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in found]


def port_of(server: Vendor) -> int:
    return int(server.url.rpartition(":")[2])


async def test_a_post_brings_status_headers_and_body(server: Vendor, dialler: Dialler) -> None:
    server.script.append(Reply(418, {"Retry-After": "7"}, b"short and stout"))
    answer = await dialler.post(f"{server.url}/pot?x=1", headers={"X-Key": "k"}, body=b"tea")
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (418, b"short and stout", "7")
    (request,) = server.requests
    assert (request.path, request.body, request.headers["X-Key"]) == ("/pot?x=1", b"tea", "k")
    assert request.headers["User-Agent"].startswith("FlashCur/")


@pytest.mark.parametrize("address", [one for one in INSIDE if (one.count(".") == 3 or ":" in one) and "%" not in one])
async def test_a_name_that_leads_inside_is_not_dialled(address: str) -> None:
    """Complaint 19: each address is checked where the socket for it is made."""
    dialler = Dialler(lookup=Names([address]))
    try:
        with pytest.raises(Refused, match="not on the public internet"):
            await dialler.post("https://evil.example/", headers={}, body=b"", timeout_s=5)
    finally:
        await dialler.close()


async def test_a_name_that_moves_inside_after_it_was_looked_at_is_not_dialled(server: Vendor) -> None:
    """Complaint 19, DNS rebinding: what a name led to before is of no account, only what is dialled."""
    names = Names(["1.1.1.1"], ["127.0.0.1"])
    dialler = Dialler(lookup=names)
    assert names("rebind.example", 443, 0) == [(socket.AF_INET, "1.1.1.1")]
    try:
        with pytest.raises(Refused, match="not on the public internet"):
            await dialler.post("https://rebind.example/", headers={}, body=b"")
    finally:
        await dialler.close()
    assert names.asked == ["rebind.example", "rebind.example"]


async def test_several_addresses_inside_are_all_refused() -> None:
    dialler = Dialler(lookup=Names(["127.0.0.1", "::1", "10.0.0.1", "::ffff:127.0.0.1"]))
    try:
        with pytest.raises(Refused, match="not on the public internet"):
            await dialler.post("https://evil.example/", headers={}, body=b"")
    finally:
        await dialler.close()


@pytest.mark.parametrize("url", ["https://127.0.0.1:8443/", "https://[::1]/", "http://example.com/", "https://0x7f.1/"])
async def test_a_spelled_out_address_inside_is_refused(url: str) -> None:
    dialler = Dialler()
    with pytest.raises(Refused, match="expected"):
        await dialler.post(url, headers={}, body=b"")


def test_no_socket_is_made_for_an_address_inside() -> None:
    with pytest.raises(Forbidden):
        guarded_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 443)))
    guarded_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("1.1.1.1", 443))).close()


async def test_a_connection_to_the_operators_own_host_is_not_lent_to_users(server: Vendor) -> None:
    """The operator's address may be inside; a user who names the same host gets no connection to it."""
    dialler = Dialler(lookup=Names(["127.0.0.1"]))
    url = f"http://api.example:{port_of(server)}/"
    try:
        assert (await dialler.post(url, headers={}, body=b"", trusted=True)).status == 200
        with pytest.raises(Refused):
            await dialler.post(url, headers={}, body=b"")
        with pytest.raises(Refused):
            await dialler.post("https://api.example:8443/", headers={}, body=b"")
    finally:
        await dialler.close()
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_not_followed(server: Vendor, dialler: Dialler, status: int) -> None:
    """Complaint 19."""
    server.script.append(Reply(status, {"Location": f"{server.url}/inside"}))
    assert (await dialler.post(server.url, headers={}, body=b"")).status == status
    assert len(server.requests) == 1


async def test_nothing_was_sent_where_nobody_listens(dialler: Dialler) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DeliveryError, match="could not be reached") as told:
        await dialler.post(f"http://127.0.0.1:{port}/secret-path", headers={}, body=b"")
    assert type(told.value) is DeliveryError
    assert "secret-path" not in str(told.value)


async def test_nothing_was_sent_where_the_name_does_not_exist() -> None:
    def nowhere(host: str, port: int, family: int) -> Sequence[tuple[int, str]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    dialler = Dialler(lookup=nowhere)
    try:
        with pytest.raises(DeliveryError, match="no such name") as told:
            await dialler.post("https://nowhere.example/", headers={}, body=b"")
    finally:
        await dialler.close()
    assert type(told.value) is DeliveryError


async def test_nothing_was_sent_where_tls_does_not_come_about(server: Vendor, dialler: Dialler) -> None:
    with pytest.raises(DeliveryError, match=r"could not be reached|TLS") as told:
        await dialler.post(server.url.replace("http", "https"), headers={}, body=b"")
    assert type(told.value) is DeliveryError


async def test_nothing_was_sent_where_a_look_up_hangs() -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hanging(host: str, port: int, family: int) -> Sequence[tuple[int, str]]:
        asyncio.run_coroutine_threadsafe(over.wait(), loop).result()
        return [(socket.AF_INET, "1.1.1.1")]

    dialler = Dialler(lookup=hanging)
    try:
        with pytest.raises(DeliveryError, match=r"could not be reached within 0\.1 s") as told:
            await dialler.post("https://slow.example/", headers={}, body=b"", timeout_s=0.1)
    finally:
        over.set()
        await dialler.close()
    assert type(told.value) is DeliveryError


class HangingNames(Names):
    """Names that begin with "slow" hang until `over` is set."""

    def __init__(self) -> None:
        super().__init__(["127.0.0.1"])
        self.over = threading.Event()

    def __call__(self, host: str, port: int, family: int) -> Sequence[tuple[int, str]]:
        found = super().__call__(host, port, family)
        if host.startswith("slow"):
            self.over.wait(30)
        return found


@pytest.fixture
def hanging() -> Iterator[HangingNames]:
    names = HangingNames()
    yield names
    names.over.set()


async def test_names_that_hang_hold_up_neither_other_channels_nor_providers(
    server: Vendor, hanging: HangingNames
) -> None:
    dialler = Dialler(allow_private=True, lookup=hanging, lookup_s=2)
    port = port_of(server)

    async def post(host: str, **more: Any) -> int:
        return (await dialler.post(f"http://{host}:{port}/", headers={}, body=b"", **more)).status

    slow = [asyncio.create_task(post(f"slow{n}.example", purpose="webhook")) for n in range(THREADS)]
    try:
        await eventually(lambda: len(hanging.asked) == THREADS, "look-ups in all threads")
        async with asyncio.timeout(1.5):
            assert await post("push.example", purpose="web_push") == 200
            assert await post("api.example", trusted=True) == 200
        # For the same purpose, too, nobody waits for longer than a look-up may take.
        with pytest.raises(DeliveryError, match="could not be looked up in time") as told:
            await post("late.example", purpose="webhook")
        assert type(told.value) is DeliveryError
        for ended in await asyncio.gather(*slow, return_exceptions=True):
            assert "could not be looked up in time" in str(ended)
        # What nobody waits for any more is not looked up when there is room again.
        hanging.over.set()
        assert await post("next.example", purpose="webhook") == 200
        assert "late.example" not in hanging.asked
    finally:
        hanging.over.set()
        await dialler.close()


async def test_a_name_is_looked_up_once_at_a_time(server: Vendor, hanging: HangingNames) -> None:
    """Neither its ports nor further attempts take more threads."""
    dialler = Dialler(allow_private=True, lookup=hanging, lookup_s=0.1)
    try:
        for port in (port_of(server), 8443, 8080):
            for _ in range(2):
                with pytest.raises(DeliveryError, match="could not be looked up in time"):
                    await dialler.post(f"http://slow.example:{port}/", headers={}, body=b"")
        assert hanging.asked == ["slow.example"]
        hanging.over.set()
        answer = await dialler.post(f"http://slow.example:{port_of(server)}/", headers={}, body=b"")
        assert answer.status == 200
    finally:
        hanging.over.set()
        await dialler.close()


async def test_a_silent_server_has_perhaps_taken_it(server: Vendor, dialler: Dialler) -> None:
    server.script.append(Reply(fault="silent"))
    with pytest.raises(Unanswered, match=r"did not answer within 0\.2 s"):
        await dialler.post(server.url, headers={}, body=b"x", timeout_s=0.2)
    assert server.requests[0].body == b"x"


async def test_a_server_that_hangs_up_has_perhaps_taken_it(server: Vendor, dialler: Dialler) -> None:
    server.script.append(Reply(fault="hang up"))
    with pytest.raises(Unanswered, match="closed the connection"):
        await dialler.post(server.url, headers={}, body=b"x")


async def test_a_body_that_does_not_end_leaves_the_status(server: Vendor, dialler: Dialler) -> None:
    server.script.append(Reply(202, body=b"half", fault="stall"))
    answer = await dialler.post(server.url, headers={}, body=b"", timeout_s=0.3)
    assert (answer.status, answer.body) == (202, b"half")


async def test_of_a_long_body_the_beginning_is_read(server: Vendor, dialler: Dialler) -> None:
    server.script.append(Reply(200, body=b"a" * (MAX_ANSWER * 5)))
    assert (await dialler.post(server.url, headers={}, body=b"")).body == b"a" * MAX_ANSWER
    server.script.append(HTML)
    assert (await dialler.post(server.url, headers={}, body=b"")).status == 502


async def test_what_is_packed_is_not_unpacked(server: Vendor, dialler: Dialler) -> None:
    """A few bytes could unfold into gigabytes."""
    server.script.append(Reply(200, {"Content-Encoding": "gzip"}, b"\x1f\x8bnot really"))
    assert (await dialler.post(server.url, headers={}, body=b"")).body == b"\x1f\x8bnot really"


async def test_no_header_can_be_smuggled_in(server: Vendor, dialler: Dialler) -> None:
    with pytest.raises(DeliveryError):
        await dialler.post(server.url, headers={"X-A": "b\r\nX-Evil: 1"}, body=b"")
    assert not server.requests


async def test_one_that_hangs_holds_up_no_other(server: Vendor, dialler: Dialler) -> None:
    server.script.extend([Reply(fault="silent")] * 30)
    hanging = [asyncio.create_task(dialler.post(server.url, headers={}, body=b"", timeout_s=30)) for _ in range(30)]
    try:
        await eventually(lambda: len(server.requests) == 30, "30 requests")
        async with asyncio.timeout(2):
            assert (await dialler.post(server.url, headers={}, body=b"")).status == 200
    finally:
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
