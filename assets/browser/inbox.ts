// Alerts of one's own: how many are unread, a note in the page for each that comes, and a browser notification in one
// tab of the browser. The server knows which wait for a tab (`browser`), and is told of each that was shown.
import { useEffect, useRef } from "react";
import { useAgain } from "./again.ts";
import { allowNotifications, attend, permission, ringTone, show, usePermission } from "./alerts.ts";
import { type Claim, claim } from "./owner.ts";
import { shared, store } from "./store.ts";

const RUNG = "flashcur_alerts_rung";
const DISMISSED = "flashcur_alerts_dismissed";
const KEPT = 60;
const MOST_NOTES = 4;
// What was stored longer ago is no news: it is counted behind the bell.
const NEWS_MS = 120_000;
const NOTE_MS = 15_000;
const RING_EVERY_MS = 3000;
// The list counts as read once it has stood open for so long; an alert that is opened, at once.
const READ_MS = 1000;
const PAGE = "/alerts?tab=messages";

export type Line = Record<
  "id" | "title" | "text" | "note" | "event_ms" | "stored_ms" | "when" | "urgent" | "demo" | "where" | "browser",
  string
>;
type Tell = (id: string) => void;

// What this tab knows to be read, whatever the server says by now.
const read = store(0);
const notes = store<Line[]>([]);

// The alerts, newest first, that are news to a tab which has `heard` of others.
export function newsOf(lines: Line[], heard: Set<string>, upTo: number, now: number): Line[] {
  return lines.filter(({ id, stored_ms }) => !heard.has(id) && Number(id) > upTo && now - Number(stored_ms) < NEWS_MS);
}

// Those that wait for a tab to show them, and that no tab of this browser has.
export const waitingOf = (lines: Line[], rung: string[]) =>
  lines.filter(({ id, browser }) => browser && !rung.includes(id));

function kept(): string[] {
  try {
    const ids = JSON.parse(localStorage.getItem(RUNG) ?? "[]");
    return Array.isArray(ids) ? ids : [];
  } catch {
    return [];
  }
}

// Without storage this tab alone remembers.
let rungHere: string[] = [];
const rung = () => [...rungHere, ...kept()];
function keepRung(ids: string[]) {
  rungHere = [...ids, ...rungHere].slice(0, KEPT);
  try {
    localStorage.setItem(RUNG, JSON.stringify([...new Set([...ids, ...kept()])].slice(0, KEPT)));
  } catch {
    // See above.
  }
}

let notifyClaim: Claim | null = null;
function settle() {
  if (permission() === "granted") notifyClaim ??= claim("flashcur_alert_notify");
  else {
    notifyClaim?.leave();
    notifyClaim = null;
  }
}

let lines: Line[] = [];
let acknowledge: Tell = () => {};
const openAlert = (id: string) => window.location.assign(`${PAGE}&alert=${id}`);

// One tab shows what waits: each by itself, or how many where they come together.
const bodyOf = ({ text, note }: Line) => [text, note].filter(Boolean).join("\n");
function ringWaiting() {
  settle();
  if (permission() !== "granted" || !notifyClaim?.owned) return;
  const waiting = waitingOf(lines, rung());
  if (!waiting.length) return;
  const [first] = waiting;
  const shown =
    waiting.length > 3
      ? show(`${waiting.length} alerts`, waiting.map(({ title }) => title).join("\n"), `flashcur alerts`, () =>
          window.location.assign(PAGE),
        )
      : waiting.map((each) => show(each.title, bodyOf(each), `flashcur alert ${each.id}`, () => openAlert(each.id)))[0];
  if (!shown || !first) return;
  keepRung(waiting.map(({ id }) => id));
  for (const { id } of waiting) acknowledge(id);
}

function dismissHere(ids: string[]) {
  if (notes.get().some(({ id }) => ids.includes(id))) notes.set(notes.get().filter(({ id }) => !ids.includes(id)));
}

// In the other tabs, too.
export function dismissNote(id: string) {
  dismissHere([id]);
  try {
    localStorage.setItem(DISMISSED, `${id} ${Date.now()}`);
  } catch {
    // There it goes by itself.
  }
}

function note(coming: Line[]) {
  // Who does not look at this tab sees the count, or the notification.
  if (document.hidden) return;
  notes.set([...coming, ...notes.get()].slice(0, MOST_NOTES));
  const passing = coming.filter(({ urgent }) => !urgent).map(({ id }) => id);
  setTimeout(() => dismissHere(passing), NOTE_MS);
}

let heard: Set<string> | null = null;
const watch = shared(() => {
  const stored = ({ key, newValue }: StorageEvent) =>
    key === DISMISSED && dismissHere([(newValue ?? "").split(" ")[0]]);
  const timer = setInterval(ringWaiting, RING_EVERY_MS);
  window.addEventListener("storage", stored);
  const end = attend();
  return () => {
    clearInterval(timer);
    window.removeEventListener("storage", stored);
    end();
    notifyClaim?.leave();
    notifyClaim = null;
  };
});

export const useNotes = () => notes.use();

// How many are unread. `known`: the server has said which there are; `upTo`: the newest that the account has read;
// `now`: the server's time of the newest frame; `alive`: frames come; `notifies`: whether this browser is known to have
// allowed notifications.
export function useInbox(
  signedIn: boolean,
  known: boolean,
  passes: boolean,
  alive: boolean,
  recent: Line[],
  upTo: number,
  now: number,
  look: Tell,
  tellShown: Tell,
  notifies: boolean,
  tellPermission: Tell,
): number {
  const readTo = Math.max(read.use(), upTo);
  acknowledge = tellShown;
  const latest = useRef({ readTo, now });
  latest.current = { readTo, now };
  const asking = useRef(look);
  asking.current = look;
  useEffect(() => {
    if (signedIn) asking.current("page");
  }, [signedIn]);
  // What came while the connection was lost was told to nobody.
  const wasAlive = useRef(alive);
  useEffect(() => {
    if (alive && !wasAlive.current && signedIn && heard) asking.current("back");
    wasAlive.current = alive;
  }, [alive, signedIn]);
  // Only the browser knows, and alerts are sent to none that does not show them.
  const allowed = usePermission();
  const telling = useRef(tellPermission);
  telling.current = tellPermission;
  useEffect(() => {
    if (!allowed) return;
    settle();
    if (signedIn && alive && notifies !== (allowed === "granted")) telling.current(allowed);
  }, [allowed, signedIn, alive, notifies]);
  useAgain(signedIn && (!known || passes), alive, () => asking.current("again"));
  useEffect(watch, []);
  useEffect(() => {
    if (!known) return;
    lines = recent;
    const before = heard;
    const { readTo: upToNow, now: at } = latest.current;
    heard = new Set([...(before ?? []), ...recent.map(({ id }) => id)]);
    ringWaiting();
    const coming = before ? newsOf(recent, before, upToNow, at) : [];
    if (!coming.length) return;
    note(coming);
    ringTone("none");
  }, [known, recent]);
  useEffect(() => dismissHere(recent.filter(({ id }) => Number(id) <= readTo).map(({ id }) => id)), [readTo, recent]);
  return known ? recent.filter(({ id }) => Number(id) > readTo).length : 0;
}

// This alert is read, and so is what is older: here at once, and in all tabs of the account by the server.
export function readUpTo(id: string, tell: Tell) {
  // NaN is not larger, either.
  if (!(Number(id) > read.get())) return;
  read.set(Number(id));
  tell(id);
}

// The list behind the bell was opened or closed: read once it has stood open for a moment.
let opened: ReturnType<typeof setTimeout> | undefined;
export function bellToggled({ newState }: { newState: string }, newest: string | undefined, tell: Tell) {
  clearTimeout(opened);
  if (newState !== "open" || !newest) return;
  opened = setTimeout(() => readUpTo(newest, tell), READ_MS);
}

// Whether this browser shows notifications, and what was wrong when they were asked for.
const problem = store("");
export function useNotifications() {
  return { permission: usePermission(), problem: problem.use() };
}
export async function turnOnNotifications() {
  problem.set((await allowNotifications("Your alerts will be shown like this.")) ?? "");
}
