// How many signals are unread, over all tabs: an account's are kept by the server, a guest's in this browser.
import { useEffect, useSyncExternalStore } from "react";
import { followPanel, isOpen } from "./panel.ts";
import { shared, store } from "./store.ts";

const KEPT = "flashcur_signals_read";
// A signal counts as read once it has stood before somebody's eyes for so long.
const READ_MS = 1000;
// An account is told of it at once, and then no more often.
const TELL_MS = 5000;

const largest = (ids: string) => (ids ? ids.split("|").reduce((most, id) => Math.max(most, Number(id)), 0) : 0);

// What this tab knows to be read, whatever the server says by now.
const read = store(0);

function ofGuest(): number {
  try {
    return Number(localStorage.getItem(KEPT)) || 0;
  } catch {
    return 0;
  }
}

export const unreadOf = (ids: string, upTo: number) =>
  ids ? ids.split("|").reduce((count, id) => count + (Number(id) > upTo ? 1 : 0), 0) : 0;

function stored({ key }: StorageEvent) {
  if (key === KEPT) read.set(read.get());
}

const hear = shared(() => {
  window.addEventListener("storage", stored);
  return () => window.removeEventListener("storage", stored);
});

function follow(notify: () => void) {
  const leave = read.follow(notify);
  const end = hear();
  return () => {
    leave();
    end();
  };
}

// `ofAccount` is what the server keeps; `reached`, that it has said who this is.
export function useUnread(ids: string, reached: boolean, signedIn: boolean, ofAccount: number): number {
  const upTo = useSyncExternalStore(
    follow,
    () => Math.max(read.get(), signedIn ? ofAccount : ofGuest()),
    () => 0,
  );
  return reached ? unreadOf(ids, upTo) : 0;
}

let telling: ReturnType<typeof setTimeout> | undefined;
let untold: (() => void) | null = null;

function tellNow() {
  const tell = untold;
  untold = null;
  telling = tell ? setTimeout(tellNow, TELL_MS) : undefined;
  tell?.();
}

function mark(upTo: number, signedIn: boolean, tell: (id: string) => void) {
  read.set(Math.max(read.get(), upTo));
  if (signedIn) {
    untold = () => tell(String(upTo));
    if (!telling) tellNow();
    return;
  }
  try {
    if (upTo > ofGuest()) localStorage.setItem(KEPT, String(upTo));
  } catch {
    // No storage: unread again after a reload, then.
  }
}
globalThis.window?.addEventListener("pagehide", () => {
  untold?.();
  untold = null;
});

function followSeen(notify: () => void) {
  const leave = followPanel(notify);
  document.addEventListener("visibilitychange", notify);
  return () => {
    leave();
    document.removeEventListener("visibilitychange", notify);
  };
}

// Counts `ids`, those that are shown, as read while the tab can be seen and, where they are `inPanel`, that is open.
export function useReading(
  ids: string,
  unread: number,
  signedIn: boolean,
  inPanel: boolean,
  tell: (id: string) => void,
) {
  const watched = useSyncExternalStore(
    followSeen,
    () => !document.hidden && (!inPanel || isOpen()),
    () => false,
  );
  const upTo = largest(ids);
  useEffect(() => {
    if (!watched || !unread || !upTo || upTo <= read.get()) return undefined;
    const timer = setTimeout(() => mark(upTo, signedIn, tell), READ_MS);
    return () => clearTimeout(timer);
  }, [watched, unread, upTo, signedIn, tell]);
  return watched;
}

// The number before the page's title, as other programs show what waits.
const COUNTED = /^\(\d+\+?\) /;
export function useCountedTitle(unread: number) {
  useEffect(() => {
    const title = document.title.replace(COUNTED, "");
    document.title = unread ? `(${unread}) ${title}` : title;
  }, [unread]);
  return unread;
}
