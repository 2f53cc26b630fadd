import assert from "node:assert/strict";
import { test } from "node:test";

const location = { href: "https://flashcur.test/signals", search: "" };
const history = {
  state: null as Record<string, unknown> | null,
  pushed: [] as string[],
  went: 0,
  replaceState(state: Record<string, unknown>, _: string, url: URL) {
    history.state = state;
    location.href = url.href;
    location.search = url.search;
  },
  pushState(state: Record<string, unknown>, _: string, url: URL) {
    history.pushed.push(url.search);
    history.replaceState(state, _, url);
  },
  back() {
    history.went -= 1;
  },
};
Object.assign(globalThis, { window: { location, history, addEventListener() {} } });
const { chooseTime, filtersOf, setFilter, showQuery, toggleFilter } = await import(
  "../../assets/browser/signal_list.ts"
);
const { closedSignal, openSignal } = await import("../../assets/browser/sheet.ts");
const { pauseMs } = await import("../../assets/browser/again.ts");
const { ago } = await import("../../assets/browser/ages.ts");

test("an address is read as its filters in one order, whatever else is in it", () => {
  assert.equal(
    filtersOf("?severity=2&signal=7&kind=funding&x=1&contract=+btc+"),
    "kind=funding&severity=2&contract=btc",
  );
  assert.equal(filtersOf("?kind=&severity="), "");
  assert.equal(filtersOf(`?contract=${"a".repeat(500)}`).length, "contract=".length + 100);
});

test("filters are chosen, changed and taken off in the address; each is a step back", () => {
  setFilter({ severity: "3" });
  toggleFilter("kind", "funding");
  toggleFilter("kind", "listing");
  toggleFilter("kind", "funding");
  assert.equal(location.search, "?kind=listing&severity=3");
  chooseTime("week");
  chooseTime("days");
  assert.match(location.search, /^\?kind=listing&severity=3&from=\d{4}-\d\d-\d\d$/);
  showQuery("");
  assert.equal(location.search, "");
  assert.equal(history.pushed.length, 7);
  showQuery("");
  assert.equal(history.pushed.length, 7);
});

test("a signal is in the address while its sheet is open", () => {
  openSignal("7");
  assert.equal(location.search, "?signal=7");
  openSignal("8");
  assert.equal(history.pushed.length, 8);
  assert.equal(location.search, "?signal=8");
  closedSignal();
  assert.equal(history.went, -1);
  // Opened by its address there is nothing to go back to.
  history.state = null;
  closedSignal();
  assert.equal(location.search, "");
  assert.equal(history.went, -1);
});

test("how long ago", () => {
  const now = 1_795_435_200_000;
  for (const [past, text] of [
    [-900, "just now"],
    [4_999, "just now"],
    [5_000, "5 s ago"],
    [12_300, "12 s ago"],
    [59_999, "59 s ago"],
    [61_000, "1 min ago"],
    [7_300_000, "2 h ago"],
    [86_400_000, "1 day ago"],
    [3 * 86_400_000, "3 days ago"],
  ] as [number, string][])
    assert.equal(ago(now, now - past), text);
  assert.equal(ago(0, now), "");
});

test("what could not be told is asked again less and less often", () => {
  const pauses = [0, 1, 2, 3, 4, 5, 20].map((nth) => pauseMs(nth, 0.5));
  assert.deepEqual(pauses, [2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
  assert.ok(pauseMs(0, 0) < pauseMs(0, 1));
});
