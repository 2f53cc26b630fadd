// What is news to a tab, which alerts wait for one, and what a ledger that is open makes of messages that move.
import assert from "node:assert/strict";
import { test } from "node:test";
import { permission, show } from "../../assets/browser/alerts.ts";
import { type Line, newsOf, waitingOf } from "../../assets/browser/inbox.ts";
import { ledgerOf, withMoved } from "../../assets/browser/ledger.ts";

const NOW = 1_000_000;
const line = (id: number, changes: Partial<Line> = {}): Line => ({
  id: String(id),
  title: `alert ${id}`,
  text: "",
  event_ms: String(NOW),
  stored_ms: String(NOW),
  when: "",
  urgent: "",
  demo: "",
  where: "",
  note: "",
  browser: "",
  ...changes,
});
const entry = (key: string, at: number, seq = 0) => ({ key, at_ms: String(at), seq: String(seq) });
const keys = (entries: { key: string }[]) => entries.map(({ key }) => key).join(" ");

test("what was heard of, was read, or is old is no news", () => {
  const lines = [line(5), line(4, { stored_ms: String(NOW - 600_000) }), line(3), line(2)];
  assert.deepEqual(
    newsOf(lines, new Set(["3"]), 2, NOW).map(({ id }) => id),
    ["5"],
  );
  assert.deepEqual(newsOf(lines, new Set(["5", "4", "3", "2"]), 0, NOW), []);
});

test("an alert waits for a tab until one of this browser has shown it", () => {
  const lines = [line(3, { browser: "1" }), line(2, { browser: "1" }), line(1)];
  assert.deepEqual(
    waitingOf(lines, ["3"]).map(({ id }) => id),
    ["2"],
  );
});

test("a message that moved stands in its place, and an older telling changes nothing", () => {
  const list = [entry("a2", 20, 5), entry("a1", 10, 3)];
  const moved = withMoved(list, [entry("a1", 10, 9), entry("a2", 20, 4)], true);
  assert.deepEqual(
    moved.map(({ key, seq }) => `${key}:${seq}`),
    ["a2:5", "a1:9"],
  );
});

test("new messages stand before the others, where they may, and what belongs to a later page is left", () => {
  const list = [entry("a2", 20), entry("a1", 10)];
  const moved = [entry("a4", 40), entry("d9", 30), entry("a0", 5)];
  assert.equal(keys(withMoved(list, moved, true)), "a4 d9 a2 a1");
  assert.equal(keys(withMoved(list, moved, false)), "a2 a1");
  assert.equal(keys(withMoved([], moved.slice(0, 1), true)), "a4");
});

test("a ledger is asked for by its filters alone, in one order", () => {
  assert.equal(ledgerOf("?tab=messages&channel=sms&alert=&status=dead&x=1"), "status=dead&channel=sms");
  assert.equal(ledgerOf(`?rule=${"a".repeat(200)}`), `rule=${"a".repeat(64)}`);
});

test("a browser that grants the permission and makes no notification shows none, until it does", () => {
  const kept = new Map<string, string>();
  let refuses = true;
  class Notification {
    static permission = "granted";
    constructor() {
      if (refuses) throw new TypeError("Illegal constructor");
    }
  }
  const localStorage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key),
  };
  const before = { Notification: globalThis.Notification, localStorage: globalThis.localStorage };
  Object.assign(globalThis, { Notification, localStorage });
  try {
    assert.equal(permission(), "granted");
    assert.equal(show("A title", "", "a tag"), false);
    assert.equal(permission(), "unsupported");
    refuses = false;
    assert.equal(show("A title", "", "a tag"), true);
    assert.equal(permission(), "granted");
    Notification.permission = "denied";
    assert.equal(permission(), "denied");
  } finally {
    Object.assign(globalThis, before);
  }
});
