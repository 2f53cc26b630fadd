// The list of `/signals`: the address says what is asked for, the server tells it page by page, and what arrives
// meanwhile waits until it is asked for, so that nothing moves under the reader.
import { useEffect, useRef, useSyncExternalStore } from "react";
import { useAgain } from "./again.ts";
import { SIGNAL_FILTERS } from "./facts.ts";
import { store } from "./store.ts";

type Entry = Record<string, string>;
type Ask = (query: string) => void;

const ASK_AFTER_MS = 3000;
const ASK_AGAIN_MS = 8000;
const MOST = 100;

// What is asked for: the filters that the address has, in one order, without what belongs to others.
export function filtersOf(search: string): string {
  const params = new URLSearchParams(search);
  const given = SIGNAL_FILTERS.flatMap((name) => {
    const value = params.get(name)?.trim().slice(0, MOST);
    return value ? [[name, value]] : [];
  });
  return new URLSearchParams(given).toString();
}

const fresh = { query: "", asked: null as string | null, entries: [] as Entry[], next: "", there: false };
const list = store(fresh);
const now = () => (globalThis.window ? filtersOf(window.location.search) : "");
const listeners = new Set<() => void>();
function changed() {
  for (const each of listeners) each();
}
globalThis.window?.addEventListener("popstate", changed);

function go(query: string) {
  if (query === now()) return;
  const url = new URL(window.location.href);
  for (const name of SIGNAL_FILTERS) url.searchParams.delete(name);
  for (const [name, value] of new URLSearchParams(query)) url.searchParams.set(name, value);
  window.history.pushState({ ...window.history.state, sheet: false }, "", url);
  changed();
}

// Changes filters; an empty text takes one off.
export function setFilter(changes: Record<string, string>) {
  const params = new URLSearchParams(now());
  for (const [name, value] of Object.entries(changes)) params.set(name, value);
  go(filtersOf(params.toString()));
}

// One of several, in or out.
export function toggleFilter(name: string, value: string) {
  const chosen = new Set((new URLSearchParams(now()).get(name) ?? "").split(",").filter(Boolean));
  if (!chosen.delete(value)) chosen.add(value);
  setFilter({ [name]: [...chosen].join(",") });
}

// The chosen days begin with the past week.
export function chooseTime(value: string) {
  const week = new Date(Date.now() - 7 * 86_400_000).toISOString().slice(0, 10);
  setFilter(value === "days" ? { since: "", from: week, to: "" } : { since: value, from: "", to: "" });
}

export const showQuery = (query: string) => go(filtersOf(query));

const follow = (notify: () => void) => {
  listeners.add(notify);
  return () => void listeners.delete(notify);
};

// The filters that are on, by name.
export function useFilters(): Record<string, string> {
  const query = useSyncExternalStore(follow, now, () => "");
  return Object.fromEntries(SIGNAL_FILTERS.map((name) => [name, new URLSearchParams(query).get(name) ?? ""]));
}

// A field that holds what the address says, and what is typed until that is applied.
export function useField(value: string) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (field.current) field.current.value = value;
  }, [value]);
  return field;
}

let ask: Ask = () => {};
function askFor(query: string) {
  list.set({ ...list.get(), asked: query });
  ask(query);
}

export function askMore() {
  const { query, next } = list.get();
  if (next) askFor(`${query}${query && "&"}after=${next}`);
}

// What has arrived: the list from its beginning, and the keyboard at the first.
let arriving = false;
export function showArrived() {
  arriving = true;
  askFor(now());
}
function goToFirst() {
  if (!arriving) return;
  arriving = false;
  // React draws them first.
  requestAnimationFrame(() => document.querySelector<HTMLElement>('[data-testid="signals"] a')?.focus());
}

// What could not be told, once more; with a button, too.
let failed = "";
export function askAgain() {
  if (list.get().asked === null) askFor(failed);
}

// `told`, `number`, `problem`, `passes`, `entries` and `next` are the server's last answer; `plan` and `demo` (the kind
// of data that the page shows) are what it was given for. A problem that `passes` is asked about again; `alive`: frames
// come.
export function useList(
  reached: boolean,
  plan: string,
  demo: boolean,
  alive: boolean,
  told: string,
  number: number,
  problem: string,
  passes: boolean,
  entries: Entry[],
  next: string,
  asker: Ask,
) {
  ask = asker;
  const query = useSyncExternalStore(follow, now, () => "");
  const shown = list.use();
  const whose = plan && `${plan} ${demo}`;
  useEffect(() => {
    if (reached && whose) askFor(query);
  }, [reached, whose, query]);
  const taken = useRef(0);
  useEffect(() => {
    const { asked, entries: before } = list.get();
    if (!number || number === taken.current || told !== asked) return;
    taken.current = number;
    const more = new URLSearchParams(told).get("after");
    failed = told;
    if (problem) list.set({ ...list.get(), asked: null, query: more ? list.get().query : told, there: true });
    else if (!more) {
      list.set({ query: told, asked: null, entries, next, there: true });
      goToFirst();
    } else list.set({ ...list.get(), asked: null, entries: [...before, ...entries], next });
  }, [number, told, problem, entries, next]);
  useEffect(() => {
    // A connection that was lost has lost the answer, too.
    const timer = shown.asked !== null && setTimeout(() => ask(shown.asked ?? ""), ASK_AGAIN_MS);
    return () => clearTimeout(timer || undefined);
  }, [shown.asked]);
  useAgain(passes, alive, askAgain);
  return { ...shown, query, busy: shown.asked !== null || shown.query !== query || !shown.there };
}

// Asks how many of what is shown have arrived, when the newest signal of all (`ids`, the newest first) is a later one
// than `newest`: once for all that come within a few seconds, and again where that got no answer. `counted` is the newest
// one at the last answer.
export function useArrivals(ids: string, newest: number, counted: number, count: Ask) {
  const latest = Math.max(0, ...ids.split("|", 50).map(Number));
  const counting = useRef(count);
  counting.current = count;
  const due = newest > 0 && latest > Math.max(newest, counted);
  useEffect(() => {
    if (!due) return undefined;
    const again = () => {
      const query = now();
      counting.current(`${query}${query && "&"}newer=${newest}`);
      timer = setTimeout(again, ASK_AGAIN_MS);
    };
    let timer = setTimeout(again, Math.random() * ASK_AFTER_MS);
    return () => clearTimeout(timer);
  }, [due, newest]);
}

// Asks for what a page shows beside its list, again where the `plan` has changed and until it is `known`.
export function useOnce(reached: boolean, plan: string, known: boolean, alive: boolean, ask: Ask) {
  // Once for each plan: the function that asks is another with every drawing of the component.
  const asked = useRef<string | null>(null);
  useEffect(() => {
    if (!reached || asked.current === plan) return;
    asked.current = plan;
    ask(plan);
  }, [reached, plan, ask]);
  useAgain(reached && !known, alive, () => ask(plan));
}
