// One line about what became of a click: the newest of the server's notices and of what these modules say.
import { useEffect, useRef } from "react";
import { useLocation } from "react-router";
import { store } from "./store.ts";

const SHOW_MS = 6000;
const SHOW_BAD_MS = 12_000;
const SEEN = "flashcur_notice";
const SILENCE = { text: "", bad: false, link: "", link_text: "" };
const notice = store(SILENCE);

export function say({ text = "", bad = false, link = "", link_text = "" }: Partial<typeof SILENCE>) {
  // Back here after signing in.
  const { pathname, search } = window.location;
  if (link === "/login") link = `/login?next=${encodeURIComponent(pathname + search)}`;
  notice.set({ text, bad, link, link_text });
}

let carried = false;
export function dismiss() {
  carried = false;
  notice.set(SILENCE);
}
// This page is about to lead to another by itself: what is said goes along, once.
export function carry() {
  carried = true;
}

// A state outlives the page: what it says is shown once in a tab.
function isNew(number: number): boolean {
  try {
    if (sessionStorage.getItem(SEEN) === String(number)) return false;
    sessionStorage.setItem(SEEN, String(number));
  } catch {
    // No storage: shown again after a reload, then.
  }
  return true;
}

export const useNotice = () => notice.use();

// Says the server's newest, and ends what is said. One component of the page calls it.
export function useServerNotice(text: string, bad: boolean, link: string, link_text: string, number: number) {
  const shown = notice.use();
  const { pathname } = useLocation();
  const page = useRef(pathname);
  useEffect(() => {
    // What was said of another page of the app is over.
    if (page.current !== pathname && !carried) dismiss();
    if (page.current !== pathname) carried = false;
    page.current = pathname;
  }, [pathname]);
  useEffect(() => {
    if (!number || !isNew(number)) return;
    if (text) say({ text, bad, link, link_text });
    // Something went well without a word: an earlier refusal is over.
    else if (notice.get().bad) dismiss();
  }, [text, bad, link, link_text, number]);
  useEffect(() => {
    const timer = shown.text && setTimeout(dismiss, shown.bad ? SHOW_BAD_MS : SHOW_MS);
    return () => clearTimeout(timer || undefined);
  }, [shown]);
}
