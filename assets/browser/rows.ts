// The table's rows: unpack a frame's columns, filter and sort them. The server does the same for files and for the first
// paint (flashcur/domain/view.py); a test holds both together.
import { older } from "./ages.ts";
import { ASSET_MARKS, CLOSED_MARK, FUNDING_ACCENT_PCT, SCALES, VIEW } from "./facts.ts";
import { coin } from "./multiples.ts";
import type { View } from "./query.ts";

type List = Record<string, string>; // `id`, `symbols`
type Market = Record<string, string>;
type Fired = Record<string, { says: string; side: string }>; // by symbol; see fired.ts

// "1.23B", "2.5m", "3000000" -> a number; NaN for anything else that is not blank.
export function amount(text: string | undefined): number {
  if (!text) return Number.NaN;
  const scale = SCALES[text.slice(-1).toUpperCase()];
  return scale ? Number(text.slice(0, -1)) * scale : Number(text);
}

// A column is split once, not once a frame: most do not change every second. So it is with a list's contracts.
function once<T>(unpack: (packed: string) => T): (name: string, packed: string) => T {
  const known = new Map<string, { packed: string; value: T }>();
  return (name, packed) => {
    const last = known.get(name);
    if (last?.packed === packed) return last.value;
    const value = unpack(packed);
    known.set(name, { packed, value });
    return value;
  };
}
const split = (packed: string) => (packed ? packed.split("|") : []);
const column = once(split);
const members = once((packed) => new Set(split(packed)));
const coins = once((packed) => split(packed).map(coin));
const contractsOf = (list: List | undefined) => list && members(list.id, list.symbols);

// A list may hold contracts of another exchange, which names them otherwise: what they are about, of those not here.
function elsewhere(only: Set<string>, symbols: string[]): Set<string> {
  const here = new Set(symbols);
  return new Set(
    Array.from(only)
      .filter((symbol) => !here.has(symbol))
      .map(coin),
  );
}

// The list that a star belongs to is the one that is shown, else the first.
const shownList = (chosen: View, lists: List[]) => lists.find((list) => list.id === chosen.list);

const COLUMNS = ["base", "interval", "next", "price", "change", "volume", "ratio", "funding", "oi", "oi1h", "age"];

function compare(sort: string, columns: Record<string, string[]>): (a: number, b: number) => number {
  if (sort === "symbol") {
    const { base } = columns;
    return (a, b) => (base[a] < base[b] ? -1 : base[a] > base[b] ? 1 : 0);
  }
  const numbers = Array.from(columns[sort] ?? [], amount);
  return (a, b) => numbers[a] - numbers[b];
}

// The half of the universe that a row belongs to, by its letter; that of another time has none, and is of crypto.
const half = (letter: string | undefined) => (letter && ASSET_MARKS[letter] ? "tradfi" : "crypto");

// Whoever names a contract, by a search or in a list, looks for it, whatever it is on.
const anyHalf = (chosen: View, lists: List[]) =>
  chosen.assets === VIEW.assets && Boolean(chosen.q.trim() || shownList(chosen, lists));

// Whether there is a choice of halves.
export const offersRest = (assets: string, chosen: View) =>
  chosen.assets !== VIEW.assets || Array.from(assets).some((letter) => half(letter) !== VIEW.assets);

// How many contracts there are to filter.
export function totalOf(market: Market, chosen: View, lists: List[]): number {
  const symbols = column("symbol", market.symbol);
  if (anyHalf(chosen, lists)) return symbols.length;
  return symbols.reduce((total, _, i) => total + (half(market.asset[i]) === chosen.assets ? 1 : 0), 0);
}

// The numbers of the rows that the filters let through, in the frame's order.
function matching(market: Market, chosen: View, lists: List[]): number[] {
  const only = contractsOf(shownList(chosen, lists));
  const [symbols, base, change, volume] = ["symbol", "base", "change", "volume"].map((name) =>
    column(name, market[name]),
  );
  const wanted = chosen.q.trim().toUpperCase();
  const about = coin(wanted);
  const assets = coins("base", market.base);
  const others = only && elsewhere(only, symbols);
  const least = amount(chosen.min);
  const both = anyHalf(chosen, lists);
  const order: number[] = [];
  for (let i = 0; i < symbols.length; i++) {
    if (!both && half(market.asset[i]) !== chosen.assets) continue;
    // Who searches looks for what may go into the list, too.
    if (only && !wanted && !only.has(symbols[i]) && !others?.has(assets[i])) continue;
    if (wanted && !named(wanted, symbols[i], base[i]) && assets[i] !== about) continue;
    if (least > 0 && !(amount(volume[i]) >= least)) continue;
    if (chosen.show === "gainers" && !(Number(change[i]) > 0)) continue;
    if (chosen.show === "losers" && !(Number(change[i]) < 0)) continue;
    if (chosen.show === "spiking" && market.spike[i] !== "1") continue;
    order.push(i);
  }
  return order;
}

// How many rows the filters let through; -1 while there are no filters, or no rows.
export function shownOf(market: Market, chosen: View, lists: List[]): number {
  const { q, min, show } = chosen;
  const filtered = q.trim() || amount(min) > 0 || show !== VIEW.show || shownList(chosen, lists);
  return filtered && market.symbol ? matching(market, chosen, lists).length : -1;
}

// The rows to show, in order: everything a row displays, as plain strings. `lag` is how many seconds ago the last frame
// came, while none comes.
export function marketRows(
  market: Market,
  chosen: View,
  lag: number,
  lists: List[] = [],
  fired: Fired = {},
): Record<string, string>[] {
  const starred = contractsOf(shownList(chosen, lists) ?? lists[0]);
  const symbols = column("symbol", market.symbol);
  const columns: Record<string, string[]> = {};
  for (const name of COLUMNS) columns[name] = column(name, market[name] ?? "");
  const { base, change, volume, funding, oi, oi1h, age } = columns;
  const { move, spike, fresh, asset, closed } = market;
  const order = matching(market, chosen, lists);
  const by = compare(chosen.sort, columns);
  const blank = (i: number) => (chosen.sort !== "symbol" && !columns[chosen.sort]?.[i] ? 1 : 0);
  const sign = chosen.dir === "asc" ? 1 : -1;
  // Missing values stay at the end whichever way the column is sorted.
  order.sort((a, b) => blank(a) - blank(b) || (blank(a) ? 0 : sign * by(a, b)) || a - b);
  return order.map((i) => ({
    symbol: symbols[i],
    base: base[i],
    star: starred?.has(symbols[i]) ? "true" : "false",
    price: columns.price[i],
    change: change[i],
    volume: volume[i],
    ratio: columns.ratio[i],
    funding: funding[i],
    oi: oi[i] ?? "",
    oi1h: oi1h[i] ?? "",
    mark: mark(asset[i], closed[i]),
    fired: fired[symbols[i]]?.says ?? "",
    side: fired[symbols[i]]?.side ?? "",
    look: look(funding[i], spike[i], fresh[i], asset[i]),
    move: move[i] === "-" ? "" : move[i],
    age: lag ? older(age[i], lag, amount(volume[i])) : age[i],
    hint: hint(columns.interval[i], columns.next[i], funding[i]),
  }));
}

const named = (wanted: string, symbol: string, base: string) =>
  symbol.toUpperCase().includes(wanted) || base.toUpperCase().includes(wanted);

// What is searched for where no contract has that name but one is about the same coin: its name here. Else empty.
export function namedHere(symbols: string, bases: string, chosen: View): string {
  const wanted = chosen.q.trim().toUpperCase();
  if (!wanted) return "";
  const base = column("base", bases);
  if (column("symbol", symbols).some((symbol, i) => named(wanted, symbol, base[i]))) return "";
  return base[coins("base", bases).indexOf(coin(wanted))] ?? "";
}

// What a row says beside its name, where it is no crypto.
function mark(letter: string | undefined, closed: string | undefined): string {
  const word = (letter && ASSET_MARKS[letter]) || "";
  return word && closed === "1" ? word + CLOSED_MARK : word;
}

function look(funding: string, spike: string, fresh: string, asset: string | undefined): string {
  const side = Math.abs(Number(funding)) >= FUNDING_ACCENT_PCT ? (funding[0] === "-" ? "paid-short" : "paid-long") : "";
  const rest = half(asset) === VIEW.assets ? "" : "tradfi ";
  return rest + (fresh === "1" ? "fresh " : "") + (spike === "1" ? "spiking " : "") + side;
}

// Hours between payments, the minute of the next one (Unix), percent a year.
function hint(hours: string, minute: string, funding: string): string {
  return funding && `${hours}|${minute}|${(Number(funding) * (24 / Number(hours)) * 365).toFixed(1)}`;
}

// How many contracts of the chosen list the table does not have, under no other name either.
export function missingOf(packed: string, bases: string, chosen: View, lists: List[]): number {
  const only = contractsOf(shownList(chosen, lists));
  if (!only || !packed) return 0;
  const shown = new Set(column("symbol", packed));
  const assets = new Set(coins("base", bases));
  return [...only].filter((symbol) => !shown.has(symbol) && !assets.has(coin(symbol))).length;
}

// An address may name a list that is gone, or somebody else's: then all contracts are shown.
export const listChoice = (chosen: View, lists: List[]) => shownList(chosen, lists)?.id ?? "";
