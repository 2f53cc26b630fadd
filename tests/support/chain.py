"""A chain's JSON-RPC endpoint, as far as contract wallets are asked through it (ERC-1271, ERC-6492 by Multicall3)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from eth_abi.abi import decode, encode
from eth_account import Account
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

MAGIC = "1626ba7e"
MULTICALL = "0xca11bde05977b3631167028862be2a173976ca11"
AGGREGATE = "82ad56cb"
FACTORY = "0x00000000000000000000000000000000000Fac70"
DEPLOY = bytes.fromhex("f1f1f1f1")
"""Selector of the factory's `(address at, address owner)`: it deploys a wallet there, or changes its owner."""
# The start of what a Solidity compiler makes; that there is some is all that counts.
CODE = "0x608060405234801561001057600080fd5b50"


@dataclass
class Contract:
    """A contract wallet. `behaviour`: `honest` asks whether its owner signed; what others answer is in their name."""

    owner: str
    behaviour: str = "honest"
    """`honest`, `no`, `revert`, `custom-error`, `invalid-opcode`, `empty`, `short`, `offchain`; `approved` accepts an
    empty signature, `exactly` the one whose hex digits are its `owner`."""


@dataclass
class Chain:
    """What the endpoint knows and how it fares; tests change both while it runs."""

    chain_id: int = 1
    contracts: dict[str, Contract] = field(default_factory=dict[str, Contract])
    """Address, in whatever case, to what is there."""
    multicall: bool = True
    """Whether Multicall3 is there."""
    status: int = 200
    """HTTP status of every answer."""
    body: bytes | None = None
    """Sent instead of every answer."""
    error: dict[str, Any] | None = None
    """JSON-RPC error instead of every result, e.g. a rate limit."""
    silent: bool = False
    """Connections are taken and never answered."""
    dripping: bool = False
    """Answers never end: a space now and then, before any JSON."""
    asked: list[str] = field(default_factory=list[str])
    """Methods, in order."""
    url: str = ""
    stopped: threading.Event = field(default_factory=threading.Event)

    def deploy(self, address: str, owner: str, behaviour: str = "honest") -> Contract:
        contract = self.contracts[address.lower()] = Contract(owner, behaviour)
        return contract

    def answer(self, method: str, params: list[Any]) -> dict[str, Any]:
        """`result` or `error` of a call."""
        self.asked.append(method)
        if self.error is not None:
            return {"error": self.error}
        if method == "eth_chainId":
            return {"result": hex(self.chain_id)}
        if method == "eth_getCode":
            return {"result": CODE if params[0].lower() in self.contracts else "0x"}
        if method == "eth_call":
            return self.call(self.contracts, params[0]["to"], params[0]["data"])
        return {"error": {"code": -32601, "message": f"the method {method} does not exist/is not available"}}

    def call(self, contracts: dict[str, Contract], to: str, data: str) -> dict[str, Any]:
        """What a call returns; it changes `contracts`, which the endpoint throws away after a simulated one."""
        if to.lower() == MULTICALL and self.multicall:
            return self._aggregate(dict(contracts), bytes.fromhex(data[2:]))
        if to.lower() == FACTORY.lower() and data.startswith(f"0x{DEPLOY.hex()}"):
            at, owner = decode(["address", "address"], bytes.fromhex(data[10:]))
            contracts[at.lower()] = Contract(owner)
            return {"result": "0x"}
        contract = contracts.get(to.lower())
        # A call to an address without code succeeds and returns nothing.
        return {"result": "0x"} if contract is None else _is_valid_signature(contract, {"to": to, "data": data})

    def _aggregate(self, contracts: dict[str, Contract], data: bytes) -> dict[str, Any]:
        assert data[:4].hex() == AGGREGATE, f"expected aggregate3, was {data[:4].hex()}"
        (calls,) = decode(["(address,bool,bytes)[]"], data[4:])
        results: list[tuple[bool, bytes]] = []
        for to, may_fail, question in calls:
            answer = self.call(contracts, to, f"0x{question.hex()}")
            if "error" in answer and not may_fail:
                return answer
            results.append(("error" not in answer, bytes.fromhex(answer.get("result", "0x")[2:])))
        return {"result": "0x" + encode(["(bool,bytes)[]"], [results]).hex()}


@contextmanager
def running_chain(chain_id: int = 1) -> Iterator[Chain]:
    """A `Chain` served at `url`."""
    chain = Chain(chain_id)

    class Handler(_Handler):
        state = chain

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    chain.url = f"http://127.0.0.1:{server.server_address[1]}/v1/secret-key"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="chain")
    thread.start()
    try:
        yield chain
    finally:
        # Frees the threads of silent connections, which the server waits for.
        chain.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    state: Chain

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.state.silent:
            self.state.stopped.wait()
            return
        if self.state.dripping:
            self._drip()
            return
        answer = {"jsonrpc": "2.0", "id": request["id"], **self.state.answer(request["method"], request["params"])}
        body = json.dumps(answer).encode() if self.state.body is None else self.state.body
        self.send_response(self.state.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while not self.state.stopped.wait(0.01):
                self.wfile.write(b" ")
        except OSError:
            # The client had enough, which is what the test is about.
            pass

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _is_valid_signature(contract: Contract, call: dict[str, Any]) -> dict[str, Any]:
    data = bytes.fromhex(call["data"][2:])
    assert data[:4].hex() == MAGIC, f"expected isValidSignature(bytes32,bytes), was {data[:4].hex()}"
    digest, signature = decode(["bytes32", "bytes"], data[4:])
    match contract.behaviour:
        case "no":
            return {"result": _word("ffffffff")}
        case "revert":
            return _reverted("GS026", "0x08c379a0" + encode(["string"], ["GS026"]).hex())
        case "custom-error":
            return _reverted("", "0x8baa579f")
        case "invalid-opcode":
            return {"error": {"code": -32000, "message": "invalid opcode: INVALID"}}
        case "approved" if not signature:
            return {"result": _word(MAGIC)}
        case "exactly":
            return {"result": _word(MAGIC if signature.hex() == contract.owner else "ffffffff")}
        case "empty":
            return {"result": "0x"}
        case "short":
            return {"result": f"0x{MAGIC}"}
        case "offchain":
            # EIP-3668: asks the client to fetch an address of the contract's choice.
            types = ["address", "string[]", "bytes", "bytes4", "bytes"]
            values = [call["to"], ["http://127.0.0.1:9/{data}"], b"", bytes(4), b""]
            return _reverted("", "0x556f1830" + encode(types, values).hex())
        case _:
            return _asks_owner(contract.owner, digest, signature)


def _asks_owner(owner: str, digest: bytes, signature: bytes) -> dict[str, Any]:
    """As OpenZeppelin's ECDSA does it, which reverts where the bytes are no signature."""
    if len(signature) != 65:
        return _reverted("", "0xfce698f7" + encode(["uint256"], [len(signature)]).hex())
    try:
        signer = Account._recover_hash(digest, signature=signature)
    except (BadSignature, ValidationError):
        return _reverted("", "0xf645eedf")
    return {"result": _word(MAGIC if signer.lower() == owner.lower() else "ffffffff")}


def _word(left: str) -> str:
    """A `bytes4` as it is returned."""
    return "0x" + left.ljust(64, "0")


def _reverted(reason: str, data: str) -> dict[str, Any]:
    message = f"execution reverted: {reason}" if reason else "execution reverted"
    return {"error": {"code": 3, "message": message, "data": data}}
