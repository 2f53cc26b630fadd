// Sound and browser notifications for signals: off until somebody turns them on, kept in this browser, and owned by one
// of its tabs. What is not new rings nowhere: not after a reload, not when a connection returns.
import { useEffect } from "react";
import type { Columns } from "./arrivals.ts";
import { type Claim, claim } from "./owner.ts";
import { shared, store } from "./store.ts";
import { allowSound, canSound, sound } from "./tone.ts";

const KEPT = "flashcur_alerts";
const RUNG = "flashcur_rung";
// What a plan could see for longer than this is no news.
const NEWS_MS = 20_000;

interface Choice {
  sound: boolean;
  notify: boolean;
  strong: boolean; // only severity 2 and 3
}
const SILENT: Choice = { sound: false, notify: false, strong: false };

export interface Coming {
  id: number;
  severity: number;
  direction: string;
  title: string;
  base: string;
  text: string;
  seen: number; // when this plan could see it, Unix ms
  late: boolean; // found long after it happened
}

function read(): Choice {
  try {
    const { sound, notify, strong } = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
    return { sound: sound === true, notify: notify === true, strong: strong === true };
  } catch {
    return SILENT;
  }
}

const asked = () => (typeof Notification === "undefined" ? "unsupported" : Notification.permission);

// Chrome on Android grants the permission, for web push, and makes no notification for a page: known once it was tried.
const REFUSED = "flashcur_notifications_refused";
function refused(): boolean {
  try {
    return Boolean(localStorage.getItem(REFUSED));
  } catch {
    return false;
  }
}
function keepRefused(is: boolean) {
  try {
    if (is) localStorage.setItem(REFUSED, "1");
    else localStorage.removeItem(REFUSED);
  } catch {
    // No storage: it is tried again on the next page.
  }
  look();
}

// Whether this browser shows notifications of a page: `granted`, `default`, `denied` or `unsupported`.
const allowed = store("");
const look = () => allowed.set(asked() === "granted" && refused() ? "unsupported" : asked());
export function permission(): string {
  look();
  return allowed.get();
}

const attendPermission = shared(() => {
  let status: PermissionStatus | undefined;
  const query = async () => {
    status = await navigator.permissions?.query({ name: "notifications" });
    status?.addEventListener("change", look);
  };
  look();
  query().catch(() => {});
  // Where the browser does not tell: it may be taken away in another window.
  document.addEventListener("visibilitychange", look);
  return () => {
    status?.removeEventListener("change", look);
    document.removeEventListener("visibilitychange", look);
  };
});

export function usePermission(): string {
  useEffect(attendPermission, []);
  return allowed.use();
}
const state = store({ ...SILENT, problem: "", quiet: false });

let soundClaim: Claim | null = null;
let notifyClaim: Claim | null = null;

function left(claimed: Claim | null): null {
  claimed?.leave();
  return null;
}

// A tab claims what it can do: one that may not sound must not keep another from it.
function settle() {
  const { sound, notify } = state.get();
  const mayNotify = notify && permission() === "granted";
  if (sound && canSound()) soundClaim ??= claim("flashcur_sound");
  else soundClaim = left(soundClaim);
  if (mayNotify) notifyClaim ??= claim("flashcur_notify");
  else notifyClaim = left(notifyClaim);
  const quiet = sound && !canSound();
  if (state.get().quiet !== quiet) state.set({ ...state.get(), quiet });
}

function keep(changes: Partial<Choice>, problem = "") {
  state.set({ ...state.get(), ...changes, problem });
  const { sound, notify, strong } = state.get();
  try {
    localStorage.setItem(KEPT, JSON.stringify({ sound, notify, strong }));
  } catch {
    // No storage: chosen for this page only.
  }
  settle();
}

export async function toggleSound() {
  if (state.get().sound) return keep({ sound: false });
  const can = await allowSound();
  keep({ sound: can }, can ? "" : "This browser plays no sound. Check whether it, or this page, is muted.");
  // So is it heard how it sounds.
  sound("bullish");
}

const BLOCKED =
  "Your browser blocks notifications from FlashCur. Allow them in the site settings beside the address, then turn them on again.";
const UNSUPPORTED = "This browser cannot show notifications from an open page. The sound works without them.";

export async function toggleNotify() {
  if (state.get().notify) return keep({ notify: false });
  const problem = await allowNotifications("Signals will be shown like this.");
  keep({ notify: problem === "" }, problem ?? "");
}

// Asks for the browser's permission and shows how it looks. Why there are none, empty where there are; null where the
// person has not decided.
export async function allowNotifications(sample: string): Promise<string | null> {
  if (asked() === "unsupported") return UNSUPPORTED;
  const answer = await Notification.requestPermission();
  look();
  if (answer !== "granted") return answer === "denied" ? BLOCKED : null;
  // With the tag of one that still stands there the browser would replace it, and show nothing.
  return show("FlashCur", sample, `flashcur ${Date.now()}`) ? "" : UNSUPPORTED;
}

export const setStrong = (strong: boolean) => keep({ strong }, state.get().problem);

// Whether the browser took it; `clicked` is what a click on it does in this tab.
export function show(title: string, body: string, tag: string, clicked = () => {}): boolean {
  try {
    const notification = new Notification(title, { body, tag, icon: "/favicon.svg" });
    if (refused()) keepRefused(false);
    notification.onclick = () => {
      window.focus();
      notification.close();
      clicked();
    };
    return true;
  } catch {
    keepRefused(true);
    return false;
  }
}

// The signals, newest first, that ring: those that were not `known`, are wanted, have just happened, and could not be
// seen before.
export function news(all: Coming[], known: Set<number>, rung: number, now: number, strong: boolean): Coming[] {
  return all.filter(
    (each) =>
      !known.has(each.id) &&
      !each.late &&
      each.id > rung &&
      now - each.seen < NEWS_MS &&
      (!strong || each.severity > 1),
  );
}

function lastRung(): number {
  try {
    return Number(localStorage.getItem(RUNG)) || 0;
  } catch {
    return 0;
  }
}

// The tone, where it is on and this tab is the one that sounds; whether it was heard.
export function ringTone(direction: string): boolean {
  const sounds = Boolean(state.get().sound && soundClaim?.owned);
  if (sounds) sound(direction);
  return sounds;
}

function ring(coming: Coming[]) {
  const { notify } = state.get();
  const sounds = ringTone(coming[0].direction);
  const notifies = notify && notifyClaim?.owned;
  if (notifies) {
    const [first] = coming;
    const title = coming.length > 1 ? `${coming.length} new signals` : `${first.base}: ${first.title}`;
    show(title, coming.length > 1 ? coming.map((each) => each.base).join(", ") : first.text, `flashcur ${first.id}`);
  }
  // A tab that takes over rings for none of them again.
  if (sounds || notifies) {
    try {
      localStorage.setItem(RUNG, String(Math.max(lastRung(), ...coming.map((each) => each.id))));
    } catch {
      // No storage, so no other tab knows; then this one has rung alone.
    }
  }
}

export function comingOf(columns: Columns): Coming[] {
  const of = (name: string) => (columns[name] ? columns[name].split("|") : []);
  const [severity, direction, title, base, text, at, later, late] = [
    "severity",
    "direction",
    "title",
    "base",
    "text",
    "at",
    "later",
    "late",
  ].map(of);
  return of("id").map((id, i) => ({
    id: Number(id),
    severity: Number(severity[i]),
    direction: direction[i],
    title: title[i],
    base: base[i],
    text: text[i],
    seen: Number(at[i]) + Number(later[i]),
    late: Boolean(late[i]),
  }));
}

let known: Set<number> | null = null;
let heardOf: string | null = null;

// While a page has it: the choice is known, and this tab claims what it can do.
export const attend = shared(() => {
  const heard = ({ key }: StorageEvent) => {
    if (key !== KEPT) return;
    state.set({ ...state.get(), ...read() });
    settle();
  };
  // After a reload the tab may sound again from the first gesture on.
  const gesture = async () => {
    if (state.get().sound && !canSound() && (await allowSound())) settle();
  };
  state.set({ ...state.get(), ...read() });
  settle();
  window.addEventListener("storage", heard);
  for (const event of ["pointerdown", "keydown"]) window.addEventListener(event, gesture);
  return () => {
    known = null;
    heardOf = null;
    window.removeEventListener("storage", heard);
    for (const event of ["pointerdown", "keydown"]) window.removeEventListener(event, gesture);
    soundClaim = left(soundClaim);
    notifyClaim = left(notifyClaim);
  };
});

// Rings for what has come, once, however many components call it; `now` is the server's time of the newest frame.
export function useAlerts(reached: boolean, columns: Columns, now: number) {
  useEffect(() => {
    if (!reached || columns.id === heardOf) return;
    heardOf = columns.id;
    const all = comingOf(columns);
    const before = known;
    known = new Set(all.map((each) => each.id));
    if (!before) return;
    const coming = news(all, before, lastRung(), now, state.get().strong);
    if (coming.length) ring(coming);
  }, [reached, columns, now]);
  useEffect(attend, []);
  return state.use();
}
