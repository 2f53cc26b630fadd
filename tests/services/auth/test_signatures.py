"""Signatures of keys, and of contract wallets through a chain's endpoint."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_defunct

from flashcur.errors import Refusal, Unavailable
from flashcur.services.auth import signatures
from flashcur.services.auth.signatures import SignatureChecker
from flashcur.settings import Settings
from tests.support.chain import DEPLOY, FACTORY, Chain, running_chain

KEY = "0x" + "11" * 32
OWNER = Account.from_key(KEY).address
OTHER_KEY = "0x" + "22" * 32
OTHER = Account.from_key(OTHER_KEY).address
CONTRACT = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
TEXT = "flashcur.example wants you to sign in with your Ethereum account:\nGrüezi, 中文"
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def sign(key: str = KEY, text: str = TEXT) -> bytes:
    return bytes(Account.sign_message(encode_defunct(text=text), key).signature)


def compact(raw: bytes) -> bytes:
    """EIP-2098."""
    return raw[:32] + bytes([raw[32] | (raw[-1] - 27) << 7]) + raw[33:64]


def wrapped(raw: bytes, owner: str = OWNER, at: str = OTHER, factory: str = FACTORY) -> bytes:
    """ERC-6492, with the call that makes the factory deploy a wallet of `owner` at `at`."""
    prepare = DEPLOY + encode(["address", "address"], [at, owner])
    return encode(["address", "bytes", "bytes"], [factory, prepare, raw]) + bytes.fromhex("6492" * 16)


def hexed(raw: bytes) -> str:
    return f"0x{raw.hex()}"


@pytest.fixture
def checker(settings: Settings) -> SignatureChecker:
    return SignatureChecker(settings)


@pytest.fixture
def chain() -> Iterator[Chain]:
    with running_chain() as chain:
        yield chain


@pytest.fixture
def asking(chain: Chain, environ: dict[str, str]) -> SignatureChecker:
    """A checker with an endpoint for chain 1, where a contract wallet of OWNER is."""
    chain.deploy(CONTRACT, OWNER)
    return SignatureChecker(Settings.load({**environ, "FLASHCUR_RPC_URL_1": chain.url}))


class TestKeys:
    def test_the_right_key(self, checker: SignatureChecker) -> None:
        checker.warm()
        checker.check(TEXT, OWNER, 1, hexed(sign()))

    def test_the_address_in_any_case(self, checker: SignatureChecker) -> None:
        checker.check(TEXT, OWNER.lower(), 1, hexed(sign()).upper().replace("0X", "0x"))

    def test_the_last_byte_of_ledgers(self, checker: SignatureChecker) -> None:
        raw = sign()
        assert raw[-1] in (27, 28)
        checker.check(TEXT, OWNER, 1, hexed(raw[:-1] + bytes([raw[-1] - 27])))

    def test_the_twin_of_a_signature_is_as_good(self, checker: SignatureChecker) -> None:
        raw = sign()
        twin = CURVE_ORDER - int.from_bytes(raw[32:64])
        checker.check(TEXT, OWNER, 1, hexed(raw[:32] + twin.to_bytes(32) + bytes([55 - raw[-1]])))

    @pytest.mark.parametrize("before", ["", "0X", "0x"])
    def test_its_digits_however_they_are_written(self, checker: SignatureChecker, before: str) -> None:
        assert checker.check(TEXT, OWNER, 1, before + sign().hex()) is False
        assert checker.check(TEXT, OWNER, 1, before + sign().hex().upper()) is False

    @pytest.mark.parametrize("text", [TEXT, "another", "a third", "a fourth"])
    def test_compact(self, checker: SignatureChecker, text: str) -> None:
        assert checker.check(text, OWNER, 1, hexed(compact(sign(text=text)))) is False

    def test_compact_has_one_spelling(self, checker: SignatureChecker) -> None:
        """EIP-2098 leaves no room for a high `s`: its highest bit is the parity."""
        raw = compact(sign())
        flipped = raw[:32] + bytes([raw[32] ^ 0x80]) + raw[33:]
        with pytest.raises(Refusal, match="signed, not"):
            checker.check(TEXT, OWNER, 1, hexed(flipped))
        high = raw[:32] + (CURVE_ORDER // 2 + 1).to_bytes(32)
        with pytest.raises(Refusal, match="none of any key"):
            checker.check(TEXT, OWNER, 1, hexed(high))

    @pytest.mark.parametrize("chain_id", [1, 8453, 999])
    def test_another_key(self, checker: SignatureChecker, chain_id: int) -> None:
        with pytest.raises(Refusal) as caught:
            checker.check(TEXT, OWNER, chain_id, hexed(sign(OTHER_KEY)))
        name = {1: "Ethereum", 8453: "Base"}.get(chain_id, "chain 999")
        assert str(caught.value) == (
            f"The signature does not match: {OTHER} signed, not {OWNER}. Either another account signed, or this is a "
            f"contract wallet, which this service cannot check on {name}: choose the account you started with, "
            "and start again."
        )
        assert caught.value.field == "signature"
        assert not isinstance(caught.value, Unavailable)

    def test_another_text(self, checker: SignatureChecker) -> None:
        with pytest.raises(Refusal, match="signed, not"):
            checker.check(TEXT + " ", OWNER, 1, hexed(sign()))

    @pytest.mark.parametrize(
        ("signature", "words"),
        [
            ("", "was empty"),
            ("0x0x00", "expected 0x and an even number of hex digits"),
            ("0x", "was empty"),
            ("0x1", "even number"),
            ("0xzz", "even number"),
            (hexed(sign()) + "\n", "even number"),
            ("0x" + "٣٣", "even number"),
            pytest.param("0x\x00\ud800", "even number", id="unicode"),
            pytest.param("0x" + "00" * 4097, "at most 8192 hex digits, was 8194", id="long"),
            pytest.param("x" * 1_000_000, "at most 8192 hex digits, was 999998", id="huge"),
            (hexed(sign()[:-2]), "expected 65 bytes"),
            (hexed(sign() + b"\0"), "expected 65 bytes"),
            pytest.param(
                hexed(bytes(4096)), "contract wallet, which this service cannot check on Ethereum", id="longest"
            ),
            (hexed(bytes(65)), "none of any key"),
            (hexed(sign()[:64] + b"\x02"), "none of any key"),
            # As of a transaction of chain 1, which eth-account takes too.
            (hexed(sign()[:64] + b"\x25"), "none of any key"),
            (hexed(b"\xff" * 64 + b"\x1b"), "none of any key"),
            (hexed(sign()[:32] + bytes(32) + b"\x1b"), "none of any key"),
            (hexed(bytes(32) + sign()[32:]), "none of any key"),
        ],
    )
    def test_garbage(self, checker: SignatureChecker, signature: str, words: str) -> None:
        with pytest.raises(Refusal, match=words) as caught:
            checker.check(TEXT, OWNER, 1, signature)
        assert str(caught.value).startswith("The signature does not match: ")
        assert len(str(caught.value)) < 400

    def test_any_bytes_are_refused_and_nothing_else(self, checker: SignatureChecker) -> None:
        chance = random.Random(1)
        for _ in range(100):
            raw = chance.randbytes(64) + bytes([chance.choice([0, 1, 27, 28, chance.randrange(256)])])
            with pytest.raises(Refusal):
                checker.check(TEXT, OWNER, 1, hexed(raw))


class TestContracts:
    def test_its_owner_signed(self, asking: SignatureChecker, chain: Chain) -> None:
        asking.check(TEXT, CONTRACT, 1, hexed(sign()))
        assert chain.asked == ["eth_chainId", "eth_getCode", "eth_call"]

    def test_the_endpoint_is_asked_for_its_chain_once(self, asking: SignatureChecker, chain: Chain) -> None:
        for _ in range(2):
            asking.check(TEXT, CONTRACT, 1, hexed(sign()))
        assert chain.asked.count("eth_chainId") == 1

    def test_a_key_needs_no_endpoint(self, asking: SignatureChecker, chain: Chain) -> None:
        asking.check(TEXT, OWNER, 1, hexed(sign()))
        assert chain.asked == []

    @pytest.mark.parametrize(
        "raw", [sign(OTHER_KEY), sign(text="another"), sign()[:63], bytes(64), bytes(65), bytes(4096)]
    )
    def test_someone_else_signed(self, asking: SignatureChecker, raw: bytes) -> None:
        with pytest.raises(Refusal, match=f"The contract wallet {CONTRACT} on Ethereum does not accept it") as caught:
            asking.check(TEXT, CONTRACT, 1, hexed(raw))
        assert not isinstance(caught.value, Unavailable)

    @pytest.mark.parametrize(
        "behaviour", ["no", "revert", "custom-error", "invalid-opcode", "empty", "short", "offchain"]
    )
    def test_it_does_not_say_yes(self, asking: SignatureChecker, chain: Chain, behaviour: str) -> None:
        chain.deploy(CONTRACT, OWNER, behaviour)
        with pytest.raises(Refusal, match="does not accept it") as caught:
            asking.check(TEXT, CONTRACT, 1, hexed(sign()))
        assert not isinstance(caught.value, Unavailable)

    def test_there_is_no_contract(self, asking: SignatureChecker) -> None:
        with pytest.raises(
            Refusal, match=f"{OTHER} signed, not {OWNER}. There is no contract wallet at it on Ethereum"
        ):
            asking.check(TEXT, OWNER, 1, hexed(sign(OTHER_KEY)))

    def test_one_that_approved_on_its_chain_signs_with_nothing(self, asking: SignatureChecker, chain: Chain) -> None:
        chain.deploy(CONTRACT, OWNER, "approved")
        for empty in ("0x", "", "0X"):
            assert asking.check(TEXT, CONTRACT, 1, empty) is True
        chain.deploy(CONTRACT, OWNER)
        with pytest.raises(Refusal, match="does not accept it"):
            asking.check(TEXT, CONTRACT, 1, "0x")

    @pytest.mark.parametrize(
        "raw", [b"", b"\0", sign(), compact(sign()), bytes(4096), b"\1" + bytes.fromhex("6492" * 16)]
    )
    def test_it_gets_to_see_every_byte_string(self, asking: SignatureChecker, chain: Chain, raw: bytes) -> None:
        chain.deploy(CONTRACT, raw.hex(), "exactly")
        assert asking.check(TEXT, CONTRACT, 1, hexed(raw)) is True

    def test_one_that_is_not_deployed_yet(self, asking: SignatureChecker, chain: Chain) -> None:
        assert asking.check(TEXT, OTHER, 1, hexed(wrapped(sign()))) is True
        # Only as if: nothing is there afterwards.
        assert OTHER.lower() not in chain.contracts

    def test_one_that_would_belong_to_someone_else(self, asking: SignatureChecker) -> None:
        with pytest.raises(Refusal, match="does not accept it"):
            asking.check(TEXT, OTHER, 1, hexed(wrapped(sign(OTHER_KEY))))
        with pytest.raises(Refusal, match="does not accept it"):
            asking.check(TEXT, OTHER, 1, hexed(wrapped(sign(), at=CONTRACT)))
        with pytest.raises(Refusal, match="does not accept it"):
            asking.check(TEXT, OTHER, 1, hexed(wrapped(sign(), factory=OTHER)))

    def test_one_that_is_deployed_by_now(self, asking: SignatureChecker, chain: Chain) -> None:
        assert asking.check(TEXT, CONTRACT, 1, hexed(wrapped(sign(), at=CONTRACT))) is True
        assert chain.asked.count("eth_call") == 1

    def test_one_whose_owner_is_news_to_its_chain(self, asking: SignatureChecker, chain: Chain) -> None:
        chain.deploy(CONTRACT, OTHER)
        assert asking.check(TEXT, CONTRACT, 1, hexed(wrapped(sign(), at=CONTRACT))) is True
        assert chain.contracts[CONTRACT.lower()].owner == OTHER

    def test_without_the_contract_that_asks_both_at_once(self, asking: SignatureChecker, chain: Chain) -> None:
        chain.multicall = False
        with pytest.raises(Unavailable, match="Ethereum could not be asked"):
            asking.check(TEXT, OTHER, 1, hexed(wrapped(sign())))

    def test_a_wrapping_without_anything_in_it_and_no_contract(self, asking: SignatureChecker) -> None:
        with pytest.raises(Refusal, match="There is no contract wallet at it on Ethereum"):
            asking.check(TEXT, OTHER, 1, hexed(sign() + bytes.fromhex("6492" * 16)))

    async def test_an_endpoint_that_hangs_holds_up_neither_keys_nor_a_crowd(
        self, asking: SignatureChecker, chain: Chain, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asking.check(TEXT, CONTRACT, 1, hexed(sign()))
        monkeypatch.setattr(signatures, "RPC_TIMEOUT_S", 1.0)
        chain.silent = True
        waiting = [
            asyncio.create_task(asking.verify(TEXT, CONTRACT, 1, hexed(sign(OTHER_KEY))))
            for _ in range(signatures.RPC_AT_ONCE)
        ]
        await asyncio.sleep(0.1)
        began = time.monotonic()
        with pytest.raises(Unavailable, match="Many contract wallets"):
            await asking.verify(TEXT, CONTRACT, 1, hexed(sign(OTHER_KEY)))
        assert await asking.verify(TEXT, OWNER, 1, hexed(sign())) is False
        assert time.monotonic() - began < 0.5
        for outcome in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(outcome, Unavailable)
        chain.silent = False
        assert await asking.verify(TEXT, CONTRACT, 1, hexed(sign())) is True
        asking.close()

    def test_other_chains_have_their_own_endpoint(self, asking: SignatureChecker, chain: Chain) -> None:
        with pytest.raises(Refusal, match="cannot check on Polygon"):
            asking.check(TEXT, CONTRACT, 137, hexed(sign()))
        assert chain.asked == []


class TestAnEndpointThatFails:
    def unavailable(self, checker: SignatureChecker, chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
        with pytest.raises(Unavailable, match="Ethereum could not be asked") as caught:
            checker.check(TEXT, CONTRACT, 1, hexed(sign()))
        assert caught.value.retry_after is not None
        # Its URL holds the operator's key.
        assert "secret-key" not in f"{caught.value} {caplog.text}"
        assert "the RPC endpoint of Ethereum" in caplog.text

    @pytest.mark.parametrize("silence", ["silent", "dripping"])
    def test_does_not_answer(
        self,
        asking: SignatureChecker,
        chain: Chain,
        silence: str,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        assert signatures.RPC_TIMEOUT_S == 5
        # The first question loads the library, which is not what is measured.
        asking.check(TEXT, CONTRACT, 1, hexed(sign()))
        monkeypatch.setattr(signatures, "RPC_TIMEOUT_S", 0.3)
        setattr(chain, silence, True)
        began = time.monotonic()
        self.unavailable(asking, chain, caplog)
        assert time.monotonic() - began < 3

    def test_is_not_there(self, environ: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
        with running_chain() as gone:
            pass
        checker = SignatureChecker(Settings.load({**environ, "FLASHCUR_RPC_URL_1": gone.url}))
        self.unavailable(checker, gone, caplog)

    @pytest.mark.parametrize("status", [401, 429, 500, 503])
    def test_answers_an_http_error(
        self, asking: SignatureChecker, chain: Chain, status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        chain.status = status
        self.unavailable(asking, chain, caplog)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>gateway</html>",
            b"\xff\xfe",
            b"null",
            b"[]",
            b"7",
            b"{}",
            b'{"jsonrpc": "2.0", "id": 0, "result": null}',
            b'{"jsonrpc": "2.0", "id": 0, "result": 1}',
            b'{"jsonrpc": "2.0", "id": 0, "result": "0xzz"}',
            b'{"jsonrpc": "2.0", "id": 0, "result": {"a": 1}}',
            b'{"jsonrpc": "2.0", "id": 0, "error": "no"}',
        ],
    )
    def test_answers_nonsense(
        self, asking: SignatureChecker, chain: Chain, body: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        chain.body = body
        self.unavailable(asking, chain, caplog)
        chain.body = None
        asking.check(TEXT, CONTRACT, 1, hexed(sign()))
        chain.body = body
        self.unavailable(asking, chain, caplog)

    def test_limits_its_rate(self, asking: SignatureChecker, chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
        """Web3's own reading of this error, which carries data, would be that the contract reverted."""
        asking.check(TEXT, CONTRACT, 1, hexed(sign()))
        chain.error = {"code": -32005, "message": "daily request count exceeded", "data": {"rate": {}}}
        self.unavailable(asking, chain, caplog)

    def test_is_of_another_chain(
        self, asking: SignatureChecker, chain: Chain, caplog: pytest.LogCaptureFixture
    ) -> None:
        chain.chain_id = 137
        self.unavailable(asking, chain, caplog)
        assert "expected chain 1, was 137" in caplog.text


def test_ethereum_libraries_load_on_first_use() -> None:
    code = (
        "import sys, flashcur.services.auth.signatures, flashcur.services.auth.challenges; "
        "print([name for name in ('web3', 'eth_account', 'eth_utils', 'eth_keys', 'requests') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_keys_do_without_web3(settings: Settings) -> None:
    code = (
        "import sys\n"
        "from flashcur.services.auth.signatures import SignatureChecker\n"
        "from flashcur.settings import Settings\n"
        f"checker = SignatureChecker(Settings.load({{'FLASHCUR_DATA_DIR': {str(settings.data_dir)!r}}}))\n"
        "checker.warm()\n"
        f"checker.check({TEXT!r}, {OWNER!r}, 1, {hexed(sign())!r})\n"
        "print('web3' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
