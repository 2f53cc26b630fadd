// What the page's address says.
import { useEffect, useSyncExternalStore } from "react";
import { useLocation } from "react-router";
import { store } from "./store.ts";

// A path of this site, whatever an answer or an address holds: nobody is led to another one.
export function inside(next: string): string {
  try {
    const url = new URL(next, window.location.origin);
    // Dots may shorten a path to one that begins with two slashes, which is another site's address.
    const plain = /^\/(?![/\\])/.test(next) && !url.pathname.startsWith("//") && url.origin === window.location.origin;
    return plain ? `${url.pathname}${url.search}${url.hash}` : "/";
  } catch {
    return "/";
  }
}

// Where somebody who was asked to sign in wanted to go.
export const nextOf = (asked: string) => inside(asked).replace(/^\/(login|register)\b.*/, "/");

const never = () => () => {};
const parameter = (name: string) => new URLSearchParams(window.location.search).get(name) ?? "";
export const useParameter = (name: string) =>
  useSyncExternalStore(
    never,
    () => parameter(name),
    () => "",
  );
export const useNext = () =>
  useSyncExternalStore(
    never,
    () => nextOf(parameter("next")),
    () => "/",
  );

// A page that leads into an account, from where it goes on to where somebody wanted to go.
export const onward = (path: string, next: string) =>
  next === "/" ? path : `${path}?next=${encodeURIComponent(next)}`;

const behindHash = () => new URLSearchParams(new URL(window.location.href).hash.slice(1));
// The token of a link in a mail, behind the `#`; in mails of before, in the query. It leaves the address bar at once, so
// that neither shoulders, nor screenshots, nor the next site learn it; the entry of the history keeps it for a reload.
export function takeToken(): string {
  const url = new URL(window.location.href);
  const hash = behindHash();
  const found = hash.get("token") ?? url.searchParams.get("token");
  const token = found ?? window.history.state?.token ?? "";
  if (found !== null) {
    if (hash.has("token")) url.hash = "";
    url.searchParams.delete("token");
    window.history.replaceState({ ...window.history.state, token }, "", url);
  }
  return token;
}
const UNREAD = { ready: false, value: "" };
const token = store(
  UNREAD,
  (own) => own.set(UNREAD),
  (own) => own.get().ready || own.set({ ready: true, value: takeToken() }),
);
export const useToken = () => token.use();

// Another link to the page that is open: by itself the browser would only look for a place in it.
globalThis.window?.addEventListener("hashchange", () => {
  if (behindHash().has("token")) window.location.reload();
});

// Where a link leads within a page whose content comes later.
export function useAnchor(there: boolean) {
  const { key } = useLocation();
  useEffect(() => {
    if (key && there && window.location.hash) document.getElementById(window.location.hash.slice(1))?.scrollIntoView();
  }, [there, key]);
}
