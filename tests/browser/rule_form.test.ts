import assert from "node:assert/strict";
import { test } from "node:test";

const location = { href: "https://flashcur.test/alerts", search: "" };
const history = {
  state: null as Record<string, unknown> | null,
  went: 0,
  replaceState(state: Record<string, unknown>, _: string, url: URL) {
    history.state = state;
    location.href = url.href;
    location.search = url.search;
  },
  pushState(state: Record<string, unknown>, _: string, url: URL) {
    history.replaceState(state, _, url);
  },
  back() {
    history.went -= 1;
  },
};
Object.assign(globalThis, { window: { location, history, addEventListener() {} } });
const { closedRule, faultsOf, grouped, openRule, spanOf, spansOf, statedOf, wantedOf } = await import(
  "../../assets/browser/rule_form.ts"
);

test("an address says which rule is written, whatever else is in it", () => {
  assert.equal(wantedOf("?tab=paused&symbol=BTCUSDT&rule=new&x=1"), "rule=new&symbol=BTCUSDT");
  assert.equal(wantedOf("?draft=1abc"), "draft=1abc");
  assert.equal(wantedOf("?stricter=7.5&rule=7"), "rule=7&stricter=7.5");
  for (const nothing of ["", "?tab=done", "?symbol=BTCUSDT", "?rule=", "?like=7", "?tab=messages&rule=7"])
    assert.equal(wantedOf(nothing), "");
});

test("the sheet is in the address while it is open, and the rest of it stays", () => {
  location.search = "?tab=paused";
  location.href += location.search;
  openRule("rule=new");
  assert.equal(location.search, "?tab=paused&rule=new");
  openRule("rule=7");
  assert.equal(location.search, "?tab=paused&rule=7");
  closedRule();
  assert.equal(history.went, -1);
  history.state = null;
  closedRule();
  assert.equal(location.search, "?tab=paused");
});

test("a length of time is told in its largest whole unit", () => {
  assert.equal(spanOf(1), "1 second");
  assert.equal(spanOf(90), "90 seconds");
  assert.equal(spanOf(300), "5 minutes");
  assert.equal(spanOf(3600), "1 hour");
  assert.equal(spanOf(604_800), "7 days");
});

test("a length of time that is set is among the choices, once and in order", () => {
  const values = (set: string) => spansOf([60, 3600], set, "").map(({ value }) => value);
  assert.deepEqual(values("3600"), ["60", "3600"]);
  assert.deepEqual(values("90"), ["60", "90", "3600"]);
  assert.deepEqual(values("nonsense"), ["60", "3600"]);
  assert.equal(spansOf([0, 10], "0", "Fire at once")[0].title, "Fire at once");
});

test("what is wrong shows where somebody has been, and everywhere once they save", () => {
  const faults = { "conditions.0.price": "a", "conditions.1": "b", name: "c" };
  assert.deepEqual(faultsOf(faults, [], false), {});
  assert.deepEqual(faultsOf(faults, ["conditions.1.percent"], false), { "conditions.1": "b" });
  assert.deepEqual(faultsOf(faults, ["name"], false), { name: "c" });
  assert.deepEqual(faultsOf(faults, [], true), faults);
});

test("a number in plain digits is grouped, and nothing else is touched", () => {
  assert.deepEqual(["5000000", "999", "65000.5", " 1234 "].map(grouped), ["5,000,000", "999", "65,000.5", "1,234"]);
  for (const typed of ["", "65,000", "1e6", "5m", "0.00001234", "-5000"]) assert.equal(grouped(typed), typed);
});

test("what is known of another rule is no answer to this one", () => {
  const known = { state: "done", shown: "done", percent: 100 };
  assert.deepEqual(statedOf(known, true, true), { ...known, busy: false });
  assert.deepEqual(statedOf(known, false, true), { ...known, state: "working", percent: 0, busy: true });
  assert.equal(statedOf({ state: "cannot" }, false, false).busy, true);
  assert.equal(statedOf({ state: "asking", percent: 40 }, true, true).busy, true);
  // Nothing is looked for before the rule can be read.
  assert.equal(statedOf({}, false, false).busy, false);
  assert.equal(statedOf({}, false, true).busy, true);
});
