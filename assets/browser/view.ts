// What the visitor chose of the table: search, filters, order. The address holds it, and the account keeps it.
import { useSyncExternalStore } from "react";
import { VIEW } from "./facts.ts";
import { given, read, type View, write } from "./query.ts";

type Keep = ((query: string) => void) | null;

const KEEP_AFTER_MS = 800;
const listeners = new Set<() => void>();
let view: View | null = null;
let keep: Keep = null;
let keeping: ReturnType<typeof setTimeout> | undefined;
let decided = false;

function current(): View {
  view ??= read(window.location.search);
  return view;
}

function show(chosen: View) {
  view = chosen;
  const url = new URL(window.location.href);
  for (const key of Object.keys(VIEW)) url.searchParams.delete(key);
  for (const [key, value] of new URLSearchParams(write(chosen))) url.searchParams.set(key, value);
  window.history.replaceState(window.history.state, "", url);
}

// An account keeps the view once it has been left alone for a moment.
function keepNow() {
  if (keeping) keep?.(write(current()));
  clearTimeout(keeping);
  keeping = undefined;
}
globalThis.window?.addEventListener("pagehide", keepNow);

export function setView(changes: Partial<View>) {
  show({ ...current(), ...changes });
  for (const notify of listeners) notify();
  clearTimeout(keeping);
  keeping = setTimeout(keepNow, KEEP_AFTER_MS);
}

export function sortBy(key: string) {
  const { sort, dir } = current();
  const first = key === "symbol" ? "asc" : "desc";
  setView({ sort: key, dir: sort !== key ? first : dir === "asc" ? "desc" : "asc" });
  // Who sorts wants to see the top.
  document.querySelector(".scroller")?.scrollTo({ top: 0 });
}

function back() {
  view = null;
  for (const notify of listeners) notify();
}
globalThis.window?.addEventListener("popstate", back);

function follow(notify: () => void) {
  listeners.add(notify);
  return () => {
    listeners.delete(notify);
    // Coming back to the table reads the address anew.
    if (listeners.size === 0) view = null;
  };
}

// What an account `kept` is shown where the address names no part of a view; that is decided once, when the server was
// `reached`, before anything is drawn. `keeper` keeps another.
export function useView(reached: boolean, kept: string, keeper: Keep): View {
  keep = keeper;
  if (reached && !decided && globalThis.window) {
    decided = true;
    if (kept && !Object.keys(given(window.location.search)).length) show(read(kept));
  }
  return useSyncExternalStore(follow, current, () => VIEW);
}
