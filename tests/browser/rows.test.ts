import assert from "node:assert/strict";
import { test } from "node:test";
import { ageOf, countdown, duration, older } from "../../assets/browser/ages.ts";
import { VIEW } from "../../assets/browser/facts.ts";
import {
  amount,
  listChoice,
  marketRows,
  missingOf,
  namedHere,
  offersRest,
  shownOf,
  totalOf,
} from "../../assets/browser/rows.ts";

const market = {
  symbol: "BTCUSDT|ETHUSDT|SOLUSDT",
  base: "BTC|ETH|SOL",
  interval: "8|8|4",
  next: "10||20",
  price: "1.0|2.0|",
  change: "+1.00|-2.00|",
  volume: "3.00B|2.00B|900.00K",
  ratio: "1.00|4.00|",
  funding: "+0.0100|-0.0300|",
  oi: "",
  oi1h: "",
  move: "ud-",
  spike: "010",
  fresh: "001",
  asset: "ccc",
  closed: "000",
  age: "p7s||r7m",
};
const symbols = (changes: object, lists: Record<string, string>[] = []) =>
  marketRows(market, { ...VIEW, ...changes }, 0, lists).map((row) => row.symbol.slice(0, 3));

test("rows are sorted, and what is missing is last both ways", () => {
  assert.deepEqual(symbols({}), ["BTC", "ETH", "SOL"]);
  assert.deepEqual(symbols({ sort: "price", dir: "desc" }), ["ETH", "BTC", "SOL"]);
  assert.deepEqual(symbols({ sort: "price", dir: "asc" }), ["BTC", "ETH", "SOL"]);
  assert.deepEqual(symbols({ sort: "symbol", dir: "desc" }), ["SOL", "ETH", "BTC"]);
});

test("filters keep what was asked for", () => {
  assert.deepEqual(symbols({ q: " eth" }), ["ETH"]);
  assert.deepEqual(symbols({ min: "1b" }), ["BTC", "ETH"]);
  assert.deepEqual(symbols({ show: "losers" }), ["ETH"]);
  assert.deepEqual(symbols({ show: "spiking" }), ["ETH"]);
});

test("a list shows its own, a search looks at all, and stars belong to the list that is shown or the first", () => {
  const lists = [
    { id: "a", symbols: "BTCUSDT" },
    { id: "b", symbols: "ETHUSDT|GONEUSDT" },
  ];
  assert.deepEqual(symbols({ list: "b" }, lists), ["ETH"]);
  assert.deepEqual(symbols({ list: "b", q: "sol" }, lists), ["SOL"]);
  assert.deepEqual(symbols({ list: "gone" }, lists), ["BTC", "ETH", "SOL"]);
  const stars = (list: string) => marketRows(market, { ...VIEW, list }, 0, lists).map((row) => row.star);
  assert.deepEqual(stars(""), ["true", "false", "false"]);
  assert.deepEqual(stars("b"), ["true"]);
  assert.equal(missingOf(market.symbol, market.base, { ...VIEW, list: "b" }, lists), 1);
  assert.equal(listChoice({ ...VIEW, list: "gone" }, lists), "");
});

test("rows are counted only while something is left out on purpose", () => {
  const lists = [{ id: "a", symbols: "ETHUSDT|GONEUSDT" }];
  const shown = (changes: object) => shownOf(market, { ...VIEW, ...changes }, lists);
  assert.deepEqual(
    [{}, { q: " " }, { min: "0" }, { min: "x" }, { list: "b" }, { sort: "oi" }].map(shown),
    Array(6).fill(-1),
  );
  assert.deepEqual(
    [{ q: "t" }, { min: "1b" }, { show: "losers" }, { list: "a" }, { q: "no" }].map(shown),
    [3, 2, 1, 1, 0],
  );
  assert.equal(shownOf({ ...market, symbol: "" }, { ...VIEW, q: "btc" }, lists), -1);
});

test("a coin that is counted by another number is found, and the page says what it is called here", () => {
  const counted = { ...market, symbol: "1000SHIBUSDT|ETHUSDT|PEPEUSDT", base: "1000SHIB|ETH|PEPE" };
  const found = (changes: object, lists: Record<string, string>[] = []) =>
    marketRows(counted, { ...VIEW, ...changes }, 0, lists).map((row) => row.base);
  const called = (q: string) => namedHere(counted.symbol, counted.base, { ...VIEW, q });
  assert.deepEqual([found({ q: "shib1000" }), called("shib1000")], [["1000SHIB"], "1000SHIB"]);
  assert.deepEqual([found({ q: "1000PEPEUSDT" }), called("1000PEPEUSDT")], [["PEPE"], "PEPE"]);
  // What has its name says nothing, and what is nowhere neither.
  assert.deepEqual(["", "shib", "1000SHIB", "1000", "1000NOT", "USDT"].map(called), ["", "", "", "", "", ""]);
  const lists = [{ id: "a", symbols: "SHIB1000USDT|1000PEPEUSDT|GONEUSDT" }];
  assert.deepEqual(found({ list: "a" }, lists), ["1000SHIB", "PEPE"]);
  assert.equal(missingOf(counted.symbol, counted.base, { ...VIEW, list: "a" }, lists), 1);
});

test("crypto is shown, and the rest where it is asked for or named", () => {
  const mixed = { ...market, asset: "csm", closed: "010" };
  const shown = (changes: object, lists: Record<string, string>[] = []) =>
    marketRows(mixed, { ...VIEW, ...changes }, 0, lists).map((row) => row.base);
  const lists = [{ id: "a", symbols: "ETHUSDT|BTCUSDT" }];
  assert.deepEqual(shown({}), ["BTC"]);
  assert.deepEqual(shown({ assets: "tradfi" }), ["ETH", "SOL"]);
  assert.deepEqual(shown({ q: "s" }), ["BTC", "ETH", "SOL"]);
  assert.deepEqual(shown({ q: "s", assets: "tradfi" }), ["ETH", "SOL"]);
  assert.deepEqual(shown({ list: "a" }, lists), ["BTC", "ETH"]);
  assert.deepEqual(shown({ list: "a", assets: "tradfi" }, lists), ["ETH"]);
  const rows = marketRows(mixed, { ...VIEW, q: "usdt" }, 0);
  assert.deepEqual(
    rows.map(({ mark, look }) => [mark, look.trim()]),
    [
      ["", ""],
      ["Stock, closed", "tradfi spiking paid-short"],
      ["Commodity", "tradfi fresh"],
    ],
  );
});

test("what is filtered are the contracts of the half that is shown, or all where one is named", () => {
  const mixed = { ...market, asset: "csm", closed: "000" };
  const lists = [{ id: "a", symbols: "ETHUSDT" }];
  const total = (changes: object) => totalOf(mixed, { ...VIEW, ...changes }, lists);
  assert.deepEqual(
    [{}, { assets: "tradfi" }, { q: "x" }, { list: "a" }, { min: "1M" }, { list: "a", assets: "tradfi" }].map(total),
    [1, 2, 3, 3, 1, 2],
  );
  // A frame of another time says of none what it is on.
  assert.equal(totalOf({ ...market, asset: "" }, VIEW, []), 3);
  assert.equal(totalOf({ ...market, symbol: "", asset: "" }, VIEW, []), 0);
});

test("halves are offered where there are two, and where one was chosen", () => {
  const offered = (assets: string, chosen = "crypto") => offersRest(assets, { ...VIEW, assets: chosen });
  assert.deepEqual([offered(""), offered("ccc"), offered("cco"), offered("", "tradfi")], [false, false, true, true]);
});

test("a row says what it looks like", () => {
  const [btc, eth, sol] = marketRows(market, VIEW, 0);
  assert.deepEqual([btc.look, eth.look, sol.look], ["", "spiking paid-short", "fresh "]);
  assert.deepEqual([btc.move, eth.move, sol.move], ["u", "d", ""]);
  assert.deepEqual([btc.hint, sol.hint], ["8|10|10.9", ""]);
});

test("while nothing comes every value grows older", () => {
  assert.equal(older("", 5, 3e9), "");
  assert.equal(older("", 11, 3e9), "p11s,f11s,r11s");
  assert.equal(older("", 11, 9e5), "p11s,f11s");
  assert.equal(older("p58s,r7m", 4, 9e5), "p1m,r7m");
  assert.equal(ageOf("p1m,r7m", "r"), "7m");
  assert.equal(ageOf("p1m,r7m", "o"), undefined);
});

test("texts of numbers and times", () => {
  assert.deepEqual(["1.5k", "2M", "3000000", "1T"].map(amount), [1500, 2e6, 3e6, 1e12]);
  assert.ok(["", "x", "K x"].map(amount).every(Number.isNaN));
  assert.deepEqual([59, 61, 7200, 90_000].map(duration), ["59s", "1m", "2h", "1d"]);
  assert.deepEqual([5, 65, 3605].map(countdown), ["0:05", "1:05", "1:00:05"]);
});
