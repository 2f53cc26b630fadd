// Where the keyboard is when what had it was removed or switched off: at the next of its kind, else at the one before;
// where none is left, at one of the kind of what was around it. Python names the kinds: what has `data-land="card"` is
// landed on, also from what is within `data-leave="card"`. What deletes is never landed on by chance: it has no kind.
import { useEffect } from "react";

// What is in a closed menu still has its box.
const usable = (element: Element | null) =>
  element?.isConnected && !element.matches(":disabled, body") && element.checkVisibility();

function nearest(element: Element | null | undefined): HTMLElement[] {
  const own = element?.closest<HTMLElement>("[data-land], [data-leave]");
  if (!own) return [];
  const all = [...document.querySelectorAll<HTMLElement>(`[data-land="${own.dataset.land ?? own.dataset.leave}"]`)];
  const next = all.filter((each) => !(own.compareDocumentPosition(each) & Node.DOCUMENT_POSITION_PRECEDING));
  const before = all.slice(0, all.length - next.length).reverse();
  return [...next, ...before, ...nearest(own.parentElement)];
}

export function useNearFocus(selector: string) {
  useEffect(() => {
    let kin: HTMLElement[] = [];
    const note = ({ target }: Event) => {
      // Who clicks beside everything has left it all, and is not called back.
      kin = target instanceof Element ? nearest(target.closest("a, button, input, [tabindex]")) : [];
    };
    const watcher = new MutationObserver(() => usable(document.activeElement) || kin.find(usable)?.focus());
    watcher.observe(document.querySelector(selector)!, {
      subtree: true,
      childList: true,
      attributeFilter: ["disabled"],
    });
    document.addEventListener("pointerdown", note, true);
    document.addEventListener("focusin", note);
    return () => {
      watcher.disconnect();
      document.removeEventListener("pointerdown", note, true);
      document.removeEventListener("focusin", note);
    };
  }, [selector]);
}
