import assert from "node:assert/strict";
import { test } from "node:test";

const location = {
  href: "https://flashcur.test/",
  origin: "https://flashcur.test",
  protocol: "https:",
  hostname: "flashcur.test",
  port: "",
  search: "",
};
const history = {
  state: null as Record<string, string> | null,
  replaceState(state: Record<string, string>, _: string, url: URL) {
    history.state = state;
    location.href = url.href;
    location.search = url.search;
  },
};
const document = { cookie: "", addEventListener() {} };
// Node's own would keep the process alive.
class BroadcastChannel {
  addEventListener() {}
}
Object.assign(globalThis, { BroadcastChannel, document, window: { location, history, addEventListener() {} } });
const { inside, nextOf, onward, takeToken } = await import("../../assets/browser/address.ts");
const { ask, backendOrigin, post } = await import("../../assets/browser/server.ts");
const { given, read, write } = await import("../../assets/browser/query.ts");
const { setView } = await import("../../assets/browser/view.ts");
const { failureOf } = await import("../../assets/browser/signing.ts");

test("nobody is led to another site", () => {
  for (const path of ["/", "/account?a=1#b", "/markets/BTC"]) assert.equal(inside(path), path);
  for (const path of [
    "//evil.example",
    "/\\evil.example",
    "https://evil.example/",
    "javascript:alert(1)",
    "x",
    "/a/../..//evil.example",
  ])
    assert.equal(inside(path), "/");
  assert.deepEqual(["/login?next=/x", "/register", "/loginless"].map(nextOf), ["/", "/", "/loginless"]);
});

test("a token leaves the address and stays for a reload", () => {
  for (const [link, left] of [
    ["/confirm#token=abc", "/confirm"],
    ["/confirm?x=1#token=abc", "/confirm?x=1"],
    ["/confirm?token=abc&x=1", "/confirm?x=1"],
    ["/confirm?token=old#token=abc", "/confirm"],
    ["/confirm?token=abc#part", "/confirm#part"],
  ]) {
    history.state = { kept: "k" };
    location.href = `https://flashcur.test${link}`;
    assert.equal(takeToken(), "abc");
    assert.equal(location.href, `https://flashcur.test${left}`);
    assert.equal(takeToken(), "abc");
    assert.equal(history.state.kept, "k");
  }
  history.state = null;
  location.href = "https://flashcur.test/confirm#tokens";
  assert.equal(takeToken(), "");
  assert.equal(location.href, "https://flashcur.test/confirm#tokens");
});

test("routes are on the page's port or another one", () => {
  assert.deepEqual([0, 443, 8000].map(backendOrigin), ["", "", "https://flashcur.test:8000"]);
});

test("an address and a view are each other's", () => {
  location.href = "https://flashcur.test/?x=1";
  setView({ q: "btc", dir: "asc" });
  assert.equal(location.search, "?x=1&q=btc&dir=asc");
  assert.equal(write(read("?sort=price&min=5m&show=none&min2=1")), "sort=price&min=5m");
  assert.equal(read(`?q=${"a".repeat(50)}`).q.length, 40);
});

test("an address names a part of the view also where it says the default, not where it says nothing of sense", () => {
  assert.deepEqual(given("?sort=volume&x=1"), { sort: "volume" });
  assert.deepEqual(given("?q=&min=&show=all&list="), { q: "", min: "", show: "all", list: "" });
  assert.deepEqual(given("?x=1&sort=nonsense&dir=up&min=abc&show="), {});
  assert.equal(read("?sort=volume&min=abc").min, "");
});

test("what a server answers is an answer whatever it is", async () => {
  const answers: [Response | Error, object][] = [
    [Response.json({ ok: true, sent: "x" }), { ok: true, status: 200, sent: "x", error: "" }],
    [
      Response.json({ error: "Not so.", field: "a" }, { status: 400 }),
      { ok: false, status: 400, error: "Not so.", field: "a" },
    ],
    [
      new Response("<html>", { status: 502 }),
      { ok: false, error: "FlashCur answered with an error (502): try again in a moment." },
    ],
    [new Response("{"), { ok: false, error: "FlashCur’s answer did not arrive whole: try again." }],
    [
      new TypeError("network"),
      { ok: false, status: 0, error: "No connection to FlashCur: check yours and try again." },
    ],
  ];
  for (const [reply, wanted] of answers) {
    globalThis.fetch = async () => (reply instanceof Error ? Promise.reject(reply) : reply);
    assert.partialDeepStrictEqual(await ask("/x"), wanted);
  }
});

test("fields go out as JSON and a form as it is", async () => {
  const sent: RequestInit[] = [];
  globalThis.fetch = async (_, options = {}) => {
    sent.push(options);
    return Response.json({});
  };
  await post("/x", { a: 1 });
  await post("/x", new FormData());
  assert.equal(sent[0].body, '{"a":1}');
  assert.deepEqual(sent[0].headers, { accept: "application/json", "content-type": "application/json" });
  assert.ok(sent[1].body instanceof FormData);
});

test("wallets fail in a word", () => {
  const word = (thrown: unknown) => failureOf(thrown).message;
  assert.equal(word({ code: 4001 }), "declined");
  assert.equal(word({ code: -32603, message: "User denied it" }), "declined");
  assert.equal(word({ code: -32603, data: { originalError: { code: 4100 } } }), "locked");
  assert.equal(word({ message: " Ledger is asleep " }), "said");
  assert.equal(failureOf({ message: "a".repeat(300) }).answer.error?.length, 160);
  assert.equal(word(undefined), "silent");
});

test("a page that leads into an account keeps where somebody wanted to go", () => {
  assert.equal(onward("/login", "/"), "/login");
  assert.equal(onward("/register", "/alerts?draft=1a-_"), "/register?next=%2Falerts%3Fdraft%3D1a-_");
});
