// The ledger of messages: the address says which are asked for, the server tells them page by page, and what moves
// later is put in its place.
import { useEffect, useRef, useSyncExternalStore } from "react";
import { useAgain } from "./again.ts";
import { isPlain } from "./clicks.ts";
import { store } from "./store.ts";

interface Entry {
  key: string;
  at_ms: string;
  seq: string; // larger after each step of its way
  [more: string]: unknown;
}
type Ask = (query: string) => void;

const FILTERS = ["status", "channel", "rule", "alert"];
const ASK_AGAIN_MS = 8000;
const MOST = 64;

// What is asked for: the filters that the address has, in one order, without what belongs to others.
export function ledgerOf(search: string): string {
  const params = new URLSearchParams(search);
  const given = FILTERS.flatMap((name) => {
    const value = params.get(name)?.trim().slice(0, MOST);
    return value ? [[name, value]] : [];
  });
  return new URLSearchParams(given).toString();
}

// The entries with those that moved in their places; those that are new and newer than all stand before them.
export function withMoved(entries: Entry[], moved: Entry[], takeNew: boolean): Entry[] {
  const by = new Map(moved.map((each) => [each.key, each]));
  const there = new Set(entries.map(({ key }) => key));
  const newest = Number(entries[0]?.at_ms ?? 0);
  const fresh = takeNew ? moved.filter(({ key, at_ms }) => !there.has(key) && Number(at_ms) >= newest) : [];
  fresh.sort((one, other) => Number(other.at_ms) - Number(one.at_ms));
  const newer = (each: Entry) => {
    const told = by.get(each.key);
    return told && Number(told.seq) > Number(each.seq) ? told : each;
  };
  return [...fresh, ...entries.map(newer)];
}

const fresh = { query: "", asked: null as string | null, entries: [] as Entry[], next: "", there: false };
const list = store(fresh, (own) => own.set(fresh));
const now = () => (globalThis.window ? ledgerOf(window.location.search) : "");
const listeners = new Set<() => void>();
function changed() {
  for (const each of listeners) each();
}
globalThis.window?.addEventListener("popstate", changed);
const follow = (notify: () => void) => {
  listeners.add(notify);
  return () => void listeners.delete(notify);
};

// One filter; an empty value takes it off.
export function setLedgerFilter(name: string, value: string) {
  const url = new URL(window.location.href);
  if (value) url.searchParams.set(name, value);
  else url.searchParams.delete(name);
  window.history.replaceState(window.history.state, "", url);
  changed();
}

// A plain click shows one alert here, any other where the browser is told to; back leads to the list.
export function followMessage(event: MouseEvent) {
  if (!isPlain(event)) return;
  event.preventDefault();
  window.history.pushState(window.history.state, "", (event.currentTarget as HTMLAnchorElement).href);
  changed();
}

export function showAllMessages() {
  const url = new URL(window.location.href);
  for (const name of FILTERS) url.searchParams.delete(name);
  window.history.replaceState(window.history.state, "", url);
  changed();
}

export function useLedgerFilters(): Record<string, string> {
  const query = useSyncExternalStore(follow, now, () => "");
  return Object.fromEntries(FILTERS.map((name) => [name, new URLSearchParams(query).get(name) ?? ""]));
}

let ask: Ask = () => {};
function askFor(query: string) {
  list.set({ ...list.get(), asked: query });
  ask(query);
}

export function askMoreMessages() {
  const { query, next, asked } = list.get();
  if (next && asked === null) askFor(`${query}${query && "&"}after=${next}`);
}

export function askMessagesAgain() {
  if (list.get().asked === null) askFor(now());
}

// Nothing moves under who reads: the list is scrolled, pointed at or walked through.
const isRead = () => window.scrollY > 300 || Boolean(document.querySelector(".ledger ol:is(:hover, :focus-within)"));

// `told`, `number`, `problem`, `passes`, `entries` and `next` are the server's last answer, `moved` what has changed
// since; `alive`: frames come.
export function useLedger(
  reached: boolean,
  alive: boolean,
  told: string,
  number: number,
  problem: string,
  passes: boolean,
  entries: Entry[],
  next: string,
  moved: Entry[],
  asker: Ask,
) {
  ask = asker;
  const query = useSyncExternalStore(follow, now, () => "");
  const shown = list.use();
  useEffect(() => {
    if (reached) askFor(query);
  }, [reached, query]);
  // What moved while the connection was lost was told to nobody.
  const wasAlive = useRef(alive);
  useEffect(() => {
    if (alive && !wasAlive.current && reached) askFor(now());
    wasAlive.current = alive;
  }, [alive, reached]);
  const taken = useRef(number);
  useEffect(() => {
    const { asked, entries: before } = list.get();
    if (!number || number === taken.current || told !== asked) return;
    taken.current = number;
    const more = new URLSearchParams(told).get("after");
    if (problem) list.set({ ...list.get(), asked: null, there: true });
    else if (!more)
      list.set({ query: told, asked: null, entries: withMoved(entries, moved, !told), next, there: true });
    else list.set({ ...list.get(), asked: null, entries: [...before, ...withMoved(entries, moved, false)], next });
  }, [number, told, problem, entries, next, moved]);
  useEffect(() => {
    const { entries: before, there, query: of } = list.get();
    if (there && moved.length) list.set({ ...list.get(), entries: withMoved(before, moved, !of && !isRead()) });
  }, [moved]);
  useEffect(() => {
    // A connection that was lost has lost the answer, too.
    const timer = shown.asked !== null && setTimeout(() => ask(shown.asked ?? ""), ASK_AGAIN_MS);
    return () => clearTimeout(timer || undefined);
  }, [shown.asked]);
  useAgain(passes, alive, askMessagesAgain);
  const last = Number(shown.entries[0]?.at_ms ?? 0);
  const there = new Set(shown.entries.map(({ key }) => key));
  const waiting = moved.filter(({ key, at_ms }) => !there.has(key) && Number(at_ms) >= last).length;
  return { ...shown, busy: shown.asked !== null || shown.query !== query || !shown.there, waiting };
}
