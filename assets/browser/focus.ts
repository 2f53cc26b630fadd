// Where the keyboard is when what had it was removed or switched off: at the next of its kind, else at the one before.
// Python names the kinds: `data-land="chip"`.
import { useEffect } from "react";

// What is in a closed menu still has its box.
const usable = (element: Element | null) =>
  element?.isConnected && !element.matches(":disabled, body") && element.checkVisibility();

export function useNearFocus(selector: string) {
  useEffect(() => {
    let kin: HTMLElement[] = [];
    const note = ({ target }: Event) => {
      const own = target instanceof Element ? target.closest<HTMLElement>("[data-land]") : null;
      const all = [...document.querySelectorAll<HTMLElement>(`[data-land="${own?.dataset.land}"]`)];
      const at = own ? all.indexOf(own) : 0;
      kin = [...all.slice(at), ...all.slice(0, at).reverse()];
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
