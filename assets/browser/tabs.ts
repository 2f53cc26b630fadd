// The parts of a page of which one is shown: the address names it (`?tab=`), the first where it names none.
import { useEffect, useRef, useSyncExternalStore } from "react";
import { useLocation } from "react-router";
import { isPlain } from "./clicks.ts";

const PARAMETER = "tab";
const listeners = new Set<() => void>();
const named = () => new URLSearchParams(window.location.search).get(PARAMETER) ?? "";
function changed() {
  for (const each of listeners) each();
}
globalThis.window?.addEventListener("popstate", changed);

function follow(listener: () => void) {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

export function useTab(first: string, ...others: string[]): string {
  // Links of the app change the address without telling anybody else.
  useLocation();
  const tab = useSyncExternalStore(follow, named, () => "");
  return others.includes(tab) ? tab : first;
}

// The row of them, on a narrow window wider than that: the one that is shown is in view, also once numbers widened others.
export function useTabRow(tab: string) {
  const ref = useRef<HTMLElement>(null);
  useEffect(() => {
    const row = ref.current;
    const shown = row?.querySelector<HTMLElement>('[aria-current="page"]');
    if (!tab || !row || !shown) return undefined;
    const centre = () => {
      const [inner, outer] = [shown.getBoundingClientRect(), row.getBoundingClientRect()];
      row.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
    };
    const watcher = new ResizeObserver(centre);
    for (const each of row.children) watcher.observe(each);
    return () => watcher.disconnect();
  }, [tab]);
  return ref;
}

// A plain click shows it here, any other where the browser is told to.
export function followTab(event: MouseEvent) {
  if (!isPlain(event)) return;
  event.preventDefault();
  const link = event.currentTarget as HTMLAnchorElement;
  if (link.href === window.location.href) return;
  window.history.pushState({ ...window.history.state, sheet: false }, "", link.href);
  changed();
}
