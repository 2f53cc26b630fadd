import assert from "node:assert/strict";
import { test } from "node:test";

const kept = new Map<string, string>();
Object.assign(globalThis, {
  localStorage: {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key),
  },
});
const { admitted, signalRows, waitingOf } = await import("../../assets/browser/arrivals.ts");
const { comingOf, news } = await import("../../assets/browser/alerts.ts");
const { claim } = await import("../../assets/browser/owner.ts");
const { firedOf } = await import("../../assets/browser/fired.ts");
const { shared } = await import("../../assets/browser/store.ts");
const { unreadOf } = await import("../../assets/browser/unread.ts");

const NOON = 1_795_435_200_000;
const columns = {
  id: "12|11|10",
  title: "Volume spike|Extreme funding|New listing",
  severity: "3|1|2",
  direction: "bearish|bullish|none",
  symbol: "BTCUSDT|BTCUSDT|NEWUSDT",
  base: "BTC|BTC|NEW",
  text: "a|b|c",
  at: `${NOON}|${NOON - 60_000}|${NOON - 900_000}`,
  later: "1000|61000|2000",
  page: "https://x/|https://x/|",
  chart: "||",
};

test("what comes while the list is read waits, and is shown once it is not", () => {
  const before = new Set(["2", "1"]);
  assert.deepEqual(admitted(["3", "2", "1"], before, true), ["2", "1"]);
  assert.deepEqual(admitted(["3", "2", "1"], before, false), ["3", "2", "1"]);
  // Of the history's end, and of another plan or other data.
  assert.deepEqual(admitted(["4", "3", "2"], before, true), ["2"]);
  assert.deepEqual(admitted(["9", "8"], before, true), ["9", "8"]);
  assert.equal(waitingOf("3|2|1", "2|1"), 1);
  assert.equal(waitingOf("", ""), 0);
});

test("entries show those that are shown, with their exact time in the account's zone", () => {
  const rows = signalRows(columns, "12|10", "Europe/Berlin");
  assert.deepEqual(
    rows.map(({ id, at, page }) => [id, at, page]),
    [
      ["12", String(NOON), "https://x/"],
      ["10", String(NOON - 900_000), ""],
    ],
  );
  assert.match(rows[0].exact, /13:00:00/);
  assert.equal(rows[0].iso, new Date(NOON).toISOString());
  assert.equal(signalRows(columns, "12|10", "Europe/Berlin"), rows);
  assert.deepEqual(signalRows({ id: "", at: "", text: "" }, "", ""), []);
});

test("unread is what came after the last that was read, of what the plan may see", () => {
  assert.deepEqual(
    [0, 11, 12, 99].map((upTo) => unreadOf(columns.id, upTo)),
    [3, 1, 0, 0],
  );
  assert.equal(unreadOf("", 5), 0);
});

test("a contract is marked for ten minutes from when the plan could see its newest signal", () => {
  const marks = (now: number) => Object.entries(firedOf(columns, now)).map(([symbol, { says }]) => [symbol, says]);
  assert.deepEqual(marks(NOON), [["BTCUSDT", "Volume spike, bearish"]]);
  assert.deepEqual(marks(NOON + 601_000), [["BTCUSDT", "Volume spike, bearish"]]);
  assert.deepEqual(marks(NOON + 601_001), []);
  assert.deepEqual(firedOf({ ...columns, later: "1000|61000|900000" }, NOON).NEWUSDT, {
    says: "New listing",
    side: "none",
  });
  assert.deepEqual(firedOf(columns, 0), {});
  // One that was found late marks nothing, and hides none that was not.
  assert.equal(firedOf({ ...columns, id: "15|11|10", late: "1||" }, NOON).BTCUSDT.says, "Extreme funding, bullish");
});

test("only what is new rings: not what was known, rung by another tab, long visible, or too weak", () => {
  const coming = comingOf(columns);
  const ids = (known: number[], rung = 0, now = NOON + 1000, strong = false) =>
    news(coming, new Set(known), rung, now, strong).map(({ id }) => id);
  assert.deepEqual(ids([]), [12, 11]);
  assert.deepEqual(ids([11, 10]), [12]);
  assert.deepEqual(ids([], 11), [12]);
  assert.deepEqual(ids([], 0, NOON + 30_000), []);
  assert.deepEqual(ids([10], 0, NOON + 1000, true), [12]);
  // Found after a restart: shown, and no news.
  const late = comingOf({ ...columns, late: "1||" });
  assert.deepEqual(
    news(late, new Set(), 0, NOON + 1000, false).map(({ id }) => id),
    [11],
  );
});

test("without locks one tab holds the lease, and another takes it over", (context) => {
  context.mock.timers.enable({ apis: ["setInterval", "Date"], now: NOON });
  Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
  const [first, second] = [claim("thing"), claim("thing")];
  context.mock.timers.tick(2000);
  assert.deepEqual([first.owned, second.owned], [true, false]);
  first.leave();
  context.mock.timers.tick(4000);
  assert.deepEqual([first.owned, second.owned], [false, true]);
  // One that was closed without a word.
  kept.set("thing", JSON.stringify({ tab: "gone", until: Date.now() + 6000 }));
  context.mock.timers.tick(4000);
  assert.equal(second.owned, false);
  context.mock.timers.tick(6000);
  assert.equal(second.owned, true);
  second.leave();
});

test("with locks a claim waits its turn", async () => {
  const turns: (() => Promise<void>)[] = [];
  const locks = {
    request: (_: string, __: object, work: () => Promise<void>) => {
      turns.push(work);
      return Promise.resolve();
    },
  };
  Object.defineProperty(globalThis, "navigator", { value: { locks }, configurable: true });
  const [first, second] = [claim("thing"), claim("thing")];
  const held = turns[0]();
  assert.deepEqual([first.owned, second.owned], [true, false]);
  first.leave();
  await held;
  turns[1]();
  assert.deepEqual([first.owned, second.owned], [false, true]);
});

test("an effect of the page begins with the first component that has it and ends with the last", () => {
  const done: string[] = [];
  const attend = shared(() => {
    done.push("begun");
    return () => done.push("ended");
  });
  const leave = [attend(), attend()];
  leave[0]?.();
  assert.deepEqual(done, ["begun"]);
  leave[1]?.();
  attend();
  assert.deepEqual(done, ["begun", "ended", "begun"]);
});
