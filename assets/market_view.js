// The browser's half of the market table: unpack a frame's columns, filter and sort them, keep what was chosen in the
// URL. Everything else about the page is written in Python (flashcur/components/market/market_table.py).
import { useEffect, useRef, useState, useSyncExternalStore } from "react";

// ---- what the visitor chose ---------------------------------------------------------------------------------------

const DEFAULTS = { q: "", sort: "volume", dir: "desc", min: "", show: "all", list: "" };
const SORTS = ["symbol", "price", "change", "volume", "ratio", "funding", "oi", "oi1h"];
const CHOICES = { sort: SORTS, dir: ["asc", "desc"], show: ["all", "gainers", "losers", "spiking"] };
const listeners = new Set();
let view = null;

function read(query = window.location.search) {
  const params = new URLSearchParams(query);
  const chosen = { ...DEFAULTS };
  for (const key of Object.keys(DEFAULTS)) {
    const value = params.get(key);
    if (value === null || (CHOICES[key] && !CHOICES[key].includes(value))) continue;
    chosen[key] = key === "min" ? (Number.isFinite(amount(value)) ? value : "") : value.slice(0, 40);
  }
  return chosen;
}

function current() {
  if (view === null) view = read();
  return view;
}

export function setView(changes) {
  view = { ...current(), ...changes };
  const url = new URL(window.location.href);
  for (const [key, value] of Object.entries(view)) {
    if (value === DEFAULTS[key]) url.searchParams.delete(key);
    else url.searchParams.set(key, value);
  }
  window.history.replaceState(window.history.state, "", url);
  listeners.forEach((notify) => notify());
  clearTimeout(keeping);
  keeping = setTimeout(() => {
    keeping = undefined;
    document.getElementById("keep-view")?.click();
  }, KEEP_AFTER_MS);
}

// An account keeps the view once it has been left alone for a moment.
const KEEP_AFTER_MS = 800;
let keeping;
if (typeof window !== "undefined")
  window.addEventListener("pagehide", () => {
    if (keeping) document.getElementById("keep-view")?.click();
  });
export const viewQuery = () => new URLSearchParams(changes(current())).toString();
const changes = (chosen) => Object.fromEntries(Object.entries(chosen).filter(([key, value]) => value !== DEFAULTS[key]));

// What an account kept is shown where the address asks for nothing else; decided once, before anything is drawn.
let decided = false;
function decide(reached, kept) {
  if (decided || !reached) return;
  decided = true;
  if (!kept || viewQuery()) return;
  view = read(kept);
  const url = new URL(window.location.href);
  for (const [key, value] of Object.entries(changes(view))) url.searchParams.set(key, value);
  window.history.replaceState(window.history.state, "", url);
}

export function sortBy(key) {
  const { sort, dir } = current();
  const first = key === "symbol" ? "asc" : "desc";
  setView({ sort: key, dir: sort !== key ? first : dir === "asc" ? "desc" : "asc" });
  // Who sorts wants to see the top.
  document.querySelector(".scroller")?.scrollTo({ top: 0 });
}

function subscribe(notify) {
  const back = () => {
    view = read();
    notify();
  };
  listeners.add(notify);
  window.addEventListener("popstate", back);
  return () => {
    listeners.delete(notify);
    window.removeEventListener("popstate", back);
    // Coming back to the table reads the address anew.
    if (listeners.size === 0) view = null;
  };
}

export function useView(reached, kept) {
  if (typeof window !== "undefined") decide(reached, kept);
  return useSyncExternalStore(subscribe, current, () => DEFAULTS);
}

// ---- rows -----------------------------------------------------------------------------------------------------------

const SCALE = { K: 1e3, M: 1e6, B: 1e9, T: 1e12 };

// "1.23B", "2.5m", "3000000" -> a number; NaN for anything else that is not blank.
export function amount(text) {
  if (!text) return NaN;
  const scale = SCALE[text.slice(-1).toUpperCase()];
  return scale ? Number(text.slice(0, -1)) * scale : Number(text);
}

// A column is split once, not once a frame: most columns do not change every second.
const unpacked = new Map();
function column(name, packed, flags) {
  const known = unpacked.get(name);
  if (known !== undefined && known.packed === packed) return known.values;
  const values = flags ? packed : packed ? packed.split("|") : [];
  unpacked.set(name, { packed, values });
  return values;
}

function compare(sort, columns) {
  if (sort === "symbol") {
    const { base } = columns;
    return (a, b) => (base[a] < base[b] ? -1 : base[a] > base[b] ? 1 : 0);
  }
  const values = columns[sort] ?? [];
  const numbers = Array.from(values, amount);
  return (a, b) => numbers[a] - numbers[b];
}

// The list that a star belongs to: the one that is shown, else the first.
const starList = (chosen, lists) => lists.find((list) => list.id === chosen.list) ?? lists[0];
const shownList = (chosen, lists) => lists.find((list) => list.id === chosen.list);

// A list's contracts, unpacked once and not once a frame.
const members = new Map();
function contractsOf(list) {
  if (!list) return null;
  const known = members.get(list.id);
  if (known !== undefined && known.packed === list.symbols) return known.symbols;
  const symbols = new Set(list.symbols ? list.symbols.split("|") : []);
  members.set(list.id, { packed: list.symbols, symbols });
  return symbols;
}

// The rows to show, in order: an array of objects with everything a row displays as plain strings.
export function marketRows(market, chosen, lag, lists = []) {
  const only = contractsOf(shownList(chosen, lists));
  const starred = contractsOf(starList(chosen, lists));
  const symbols = column("symbol", market.symbol);
  const columns = {};
  for (const name of ["base", "interval", "next", "price", "change", "volume", "ratio", "funding", "oi", "oi1h", "age"])
    columns[name] = column(name, market[name] ?? "");
  const { move, spike, fresh } = market;
  const wanted = chosen.q.trim().toUpperCase();
  const least = amount(chosen.min);
  let order = [];
  for (let i = 0; i < symbols.length; i++) {
    // A search also finds what may be wanted in the list.
    if (only && !wanted && !only.has(symbols[i])) continue;
    if (wanted && !symbols[i].toUpperCase().includes(wanted) && !columns.base[i].toUpperCase().includes(wanted)) continue;
    if (least > 0 && !(amount(columns.volume[i]) >= least)) continue;
    if (chosen.show === "gainers" && !(Number(columns.change[i]) > 0)) continue;
    if (chosen.show === "losers" && !(Number(columns.change[i]) < 0)) continue;
    if (chosen.show === "spiking" && spike[i] !== "1") continue;
    order.push(i);
  }
  const by = compare(chosen.sort, columns);
  const blank = chosen.sort === "symbol" ? () => false : (i) => !columns[chosen.sort]?.[i];
  const sign = chosen.dir === "asc" ? 1 : -1;
  // Missing values stay at the end whichever way the column is sorted.
  order.sort((a, b) => blank(a) - blank(b) || (blank(a) ? 0 : sign * by(a, b)) || a - b);
  return order.map((i) => ({
    symbol: symbols[i],
    base: columns.base[i],
    star: starred?.has(symbols[i]) ? "true" : "false",
    price: columns.price[i],
    change: columns.change[i],
    volume: columns.volume[i],
    ratio: columns.ratio[i],
    funding: columns.funding[i],
    oi: columns.oi[i] ?? "",
    oi1h: columns.oi1h[i] ?? "",
    look: look(columns.funding[i], spike[i], fresh[i]),
    move: move[i] === "-" ? "" : move[i],
    age: lag ? older(columns.age[i], lag, amount(columns.volume[i])) : columns.age[i],
    hint: hint(columns.interval[i], columns.next[i], columns.funding[i]),
  }));
}

// How many contracts of the chosen list the table does not have.
export function missingOf(packed, chosen, lists) {
  const only = contractsOf(shownList(chosen, lists));
  if (!only || !packed) return 0;
  const shown = new Set(column("symbol", packed));
  return [...only].filter((symbol) => !shown.has(symbol)).length;
}

// An address may name a list that is gone, or somebody else's: then all contracts are shown.
export const listChoice = (chosen, lists) => shownList(chosen, lists)?.id ?? "";

const look = (funding, spike, fresh) =>
  (fresh === "1" ? "fresh " : "") +
  (spike === "1" ? "spiking " : "") + (Math.abs(Number(funding)) >= 0.03 ? (funding[0] === "-" ? "paid-short" : "paid-long") : "");

function hint(hours, minute, funding) {
  if (!funding) return "";
  const yearly = (Number(funding) * (24 / Number(hours)) * 365).toFixed(1);
  return `${hours}|${minute}|${yearly}`;
}

// ---- stars ------------------------------------------------------------------------------------------------------------

// The star that was clicked. One handler for the whole table, and one hidden button that tells the server.
let clicked = "";
export const clickedSymbol = () => clicked;

export function clickStar(event) {
  const star = event.target.closest?.("button.star");
  if (!star) return;
  clicked = star.closest("tr").dataset.symbol;
  document.getElementById("send-star")?.click();
}

// The same for a screen reader, which has no pointer to hold over the cell.
export function describeFunding(hint) {
  if (!hint) return undefined;
  const [hours, , yearly] = hint.split("|");
  return `every ${hours} hours, ${yearly} % a year`;
}

// ---- ages -----------------------------------------------------------------------------------------------------------

// Seconds a value may be old without being marked: what is polled for small contracts may be older than what streams.
const allowances = (volume) => [
  ["p", 5],
  ["f", 10],
  ["r", volume >= 1e6 ? 10 : 360],
  ["o", volume >= 4e6 ? 90 : 600],
];

// A table that moves at marks was that old already when the last message came.
export const tableLag = (lag, mark, asOf) => (lag && mark ? lag + Math.max(0, Math.floor((asOf - mark) / 1000)) : lag);

export function duration(seconds) {
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86400)}d`;
}

// While nothing arrives, every value grows older by the lag, whatever age it had.
function older(known, lag, volume) {
  const marked = (known || "").split(",").filter((age) => age && !age.endsWith("s"));
  const seen = new Set(marked.map((age) => age[0]));
  for (const age of (known || "").split(",")) {
    if (age.endsWith("s")) {
      seen.add(age[0]);
      marked.push(age[0] + duration(Number(age.slice(1, -1)) + lag));
    }
  }
  for (const [letter, allowed] of allowances(volume))
    if (!seen.has(letter) && lag > allowed) marked.push(letter + duration(lag));
  return marked.join(",");
}

// One cell's age from a row's ages; undefined, so no attribute, where it is within its allowance.
export function ageOf(ages, letter) {
  if (!ages) return undefined;
  for (const age of ages.split(",")) if (age[0] === letter) return age.slice(1);
  return undefined;
}

// ---- the connection ---------------------------------------------------------------------------------------------------

const QUIET_S = 3;
const GIVE_UP_S = 6;
const AGAIN_S = 15;

// Whole seconds since the last frame arrived, 0 while frames come; re-renders only while they do not. A link that went
// dead without a word is dropped after GIVE_UP_S, so that the client connects anew instead of waiting for a time-out.
export function useLag(beat) {
  const last = useRef(null);
  const [lag, setLag] = useState(0);
  useEffect(() => {
    last.current = performance.now();
    setLag(0);
  }, [beat]);
  useEffect(() => {
    let dropped = 0;
    const timer = setInterval(() => {
      const now = performance.now();
      const seconds = Math.floor((now - last.current) / 1000);
      setLag(seconds > QUIET_S ? seconds : 0);
      if (seconds >= GIVE_UP_S && now - dropped > AGAIN_S * 1000 && navigator.onLine && !document.hidden) {
        dropped = now;
        window.dispatchEvent(new Event("offline"));
      }
    }, 1000);
    // The network is back: connect at once instead of after the client's next pause.
    const back = () => document.dispatchEvent(new Event("visibilitychange"));
    window.addEventListener("online", back);
    return () => {
      clearInterval(timer);
      window.removeEventListener("online", back);
    };
  }, []);
  return lag;
}

// Seconds until a Unix time in ms, by the server's clock: `offset` is that clock minus ours.
export function useCountdown(target, asOf) {
  const offset = useRef(0);
  const [left, setLeft] = useState("");
  useEffect(() => {
    if (asOf) offset.current = asOf - Date.now();
  }, [asOf]);
  useEffect(() => {
    if (!target) return setLeft("");
    const show = () => {
      const seconds = Math.max(0, Math.round((target - Date.now() - offset.current) / 1000));
      const two = (number) => String(number).padStart(2, "0");
      const minutes = Math.floor(seconds / 60);
      const hours = Math.floor(minutes / 60);
      setLeft(`${hours ? `${hours}:${two(minutes % 60)}` : minutes}:${two(seconds % 60)}`);
    };
    show();
    const timer = setInterval(show, 1000);
    return () => clearInterval(timer);
  }, [target]);
  return left;
}

// ---- the funding card -------------------------------------------------------------------------------------------------

let card = null;
const cardListeners = new Set();

function setCard(next) {
  if (next === card) return;
  card = next;
  cardListeners.forEach((notify) => notify());
}

// One handler for the whole table: shows the card of the funding cell under the pointer (or finger), hides it elsewhere.
export function pointAt(event) {
  const cell = event.type === "mouseleave" ? null : event.target.closest?.('td[data-col="funding"]');
  const hint = cell?.dataset.hint;
  if (!hint) return setCard(null);
  if (card?.cell === cell) return;
  const box = cell.getBoundingClientRect();
  const [hours, minute, yearly] = hint.split("|");
  const below = box.bottom + 110 < window.innerHeight;
  const style = { right: Math.max(8, window.innerWidth - box.right), [below ? "top" : "bottom"]: below ? box.bottom + 4 : window.innerHeight - box.top + 4 };
  setCard({ cell, style, hours, yearly: `${yearly > 0 ? "+" : ""}${yearly} %`, due: minute ? Number(minute) * 60000 : 0 });
}

// It belongs to a cell, which a scroll takes away.
export const hideCard = () => setCard(null);

export const useCard = () =>
  useSyncExternalStore(
    (notify) => {
      cardListeners.add(notify);
      return () => cardListeners.delete(notify);
    },
    () => card,
    () => null,
  );

// ---- keys -------------------------------------------------------------------------------------------------------------

// "/" goes to the search field, as in every tool of this kind; Escape empties it. Returns the field's ref.
export function useSearchKey() {
  const field = useRef(null);
  useEffect(() => {
    const press = (event) => {
      const busy = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? "");
      if (event.key === "/" && !busy && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        field.current?.focus();
      } else if (event.key === "Escape" && document.activeElement === field.current) {
        setView({ q: "" });
        field.current.blur();
      }
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
  return field;
}

export const clock = (ms) => (ms ? new Date(ms).toISOString().slice(11, 19) : "");

// ---- the ticker strip -------------------------------------------------------------------------------------------------

const direction = (text) => (text[0] === "+" ? "up" : text[0] === "-" ? "down" : "");

export const stripItems = (packed) =>
  !packed
    ? []
    : packed.split(";").map((item) => {
        const [base, price, change, move] = item.split("|");
        return { base, price, change, direction: direction(change), move: move === "-" ? "" : move };
      });

const STEPS = ["", "1M", "10M", "50M", "100M", "500M"];
export const isOwnAmount = (min) => !STEPS.includes(min);

// ---- the flash on change ----------------------------------------------------------------------------------------------

const FLASH_MS = 450;

// Moved prices are coloured for a moment after each frame. One class on the table that comes and goes costs two style
// passes a second; an animation in each cell cost a third of the main thread.
export function useFlash(beat) {
  const table = useRef(null);
  useEffect(() => {
    const element = table.current;
    if (!element || !beat) return;
    element.classList.add("flash");
    const timer = setTimeout(() => element.classList.remove("flash"), FLASH_MS);
    return () => clearTimeout(timer);
  }, [beat]);
  return table;
}

// ---- files ------------------------------------------------------------------------------------------------------------

// The address of the table's file in a format, with the filters and the order that are chosen.
export function exportAddress(extension, chosen, backend) {
  const text = new URLSearchParams(changes(chosen)).toString();
  return `${backend}/export/markets.${extension}${text ? `?${text}` : ""}`;
}

// ---- menus ------------------------------------------------------------------------------------------------------------

// An open menu closes when something else is clicked, when one of its entries is, and with Escape.
export function useMenus() {
  useEffect(() => {
    const close = (except) => {
      for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== except) menu.open = false;
    };
    const click = (event) => {
      // Hidden buttons are clicked by scripts.
      if (!event.isTrusted) return;
      const menu = event.target.closest?.("details.menu");
      const entry = event.target.closest?.("details.menu > div :is(a, button)");
      close(entry ? null : menu);
    };
    const press = (event) => {
      if (event.key !== "Escape") return;
      const menu = document.querySelector("details.menu[open]");
      menu?.querySelector("summary")?.focus();
      close(null);
    };
    document.addEventListener("click", click);
    document.addEventListener("keydown", press);
    return () => {
      document.removeEventListener("click", click);
      document.removeEventListener("keydown", press);
    };
  }, []);
}
