// The newest signals as the panel shows them: what comes while somebody reads the list waits above it, so that nothing
// moves under their eyes or their pointer.
import { useEffect, useSyncExternalStore } from "react";
import { shared, store } from "./store.ts";

const LIST = '[data-testid="signals"]';

export type Columns = Record<string, string>; // those of SignalsState
export type Row = Record<string, string>;

const split = (packed: string | undefined) => (packed ? packed.split("|") : []);
const list = () => document.querySelector<HTMLElement>(LIST);

// Scrolled, under the pointer (a finger leaves its last place "hovered"), or walked through with the keyboard.
function isRead(element: HTMLElement | null): boolean {
  if (!element || document.hidden || !element.checkVisibility()) return false;
  // What waits is called from a button beside the list.
  const pointed = window.matchMedia("(hover: hover)").matches && element.closest("aside")?.matches(":hover") === true;
  return element.scrollTop > 0 || pointed || element.querySelector(":focus-visible") !== null;
}

// The ids that are shown, of all that there are, newest first: where the list is `read`, no more than were shown
// `before`. Of another plan or another kind of data there is none that was.
export function admitted(all: string[], before: Set<string>, read: boolean): string[] {
  const kept = all.filter((id) => before.has(id));
  return read && kept.length ? kept : all;
}

let shown = new Set<string>();
const released = store(0);

function admit(ids: string): string[] {
  const all = split(ids);
  const now = admitted(all, shown, typeof document !== "undefined" && isRead(list()));
  shown = new Set(now);
  return now;
}

// Called where reading may have ended: what waited is shown then.
export const settle = () => !isRead(list()) && released.set(released.get() + 1);

// The reader asks for what waits.
export function showWaiting() {
  shown = new Set();
  const element = list();
  element?.scrollTo({ top: 0 });
  element?.focus({ preventScroll: true });
  released.set(released.get() + 1);
}

const attend = shared(() => {
  document.addEventListener("visibilitychange", settle);
  return () => document.removeEventListener("visibilitychange", settle);
});

export function useShown(ids: string): string {
  useSyncExternalStore(released.follow, released.get, () => 0);
  useEffect(attend, []);
  return admit(ids).join("|");
}

export const waitingOf = (ids: string, shownIds: string) => split(ids).length - split(shownIds).length;

const exact = new Map<string, Intl.DateTimeFormat>();
function formatOf(zone: string): Intl.DateTimeFormat {
  let format = exact.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-GB", {
      timeZone: zone,
      day: "numeric",
      month: "short",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      timeZoneName: "short",
    });
    exact.set(zone, format);
  }
  return format;
}

// What the entries show, as plain strings, of those that are shown. Made anew only where something of it has changed: the
// page asks every second.
let made = { of: "", rows: [] as Row[] };
export function signalRows(columns: Columns, shownIds: string, zone: string): Row[] {
  const of = [columns.id, columns.text, columns.at, shownIds, zone].join("\n");
  if (made.of !== of) made = { of, rows: rowsOf(columns, shownIds, zone || "UTC") };
  return made.rows;
}

function rowsOf(columns: Columns, shownIds: string, zone: string): Row[] {
  const values = Object.entries(columns).map(([name, packed]) => [name, split(packed)] as const);
  const wanted = new Set(split(shownIds));
  const rows = split(columns.id).map((_, i) => Object.fromEntries(values.map(([name, each]) => [name, each[i] ?? ""])));
  return rows
    .filter(({ id }) => wanted.has(id))
    .map((row): Row => {
      const at = Number(row.at);
      return { ...row, exact: formatOf(zone).format(at), iso: new Date(at).toISOString() };
    });
}
