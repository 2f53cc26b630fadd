// One signal in a sheet over the page. The address names it, so that it can be shared, reloaded and left by going back.
import { useEffect, useRef, useSyncExternalStore } from "react";
import { useAgain } from "./again.ts";
import { isPlain } from "./clicks.ts";

const PARAMETER = "signal";
// The last `opened` that was followed: a page that is made anew does not open it again.
let entered = 0;
const listeners = new Set<() => void>();

function named(): string {
  const id = new URLSearchParams(window.location.search).get(PARAMETER) ?? "";
  return /^[1-9][0-9]{0,14}$/.test(id) ? id : "";
}
function notify() {
  for (const each of listeners) each();
}
globalThis.window?.addEventListener("popstate", notify);

function follow(listener: () => void) {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

export function openSignal(id: string) {
  if (named() === id) return;
  const url = new URL(window.location.href);
  url.searchParams.set(PARAMETER, id);
  // From one signal to another the sheet stays: going back leaves it, wherever it was entered.
  const within = named() !== "" && window.history.state?.sheet;
  if (within) window.history.replaceState(window.history.state, "", url);
  else window.history.pushState({ ...window.history.state, sheet: true }, "", url);
  notify();
}

// A link to a signal: a plain click opens it here, any other where the browser is told to.
export function followSignal(event: MouseEvent, id: string) {
  if (!isPlain(event)) return;
  event.preventDefault();
  openSignal(id);
}

// The sheet has been closed, by whatever means: the address says so, too.
export function closedSignal() {
  if (!named()) return;
  if (window.history.state?.sheet) {
    window.history.back();
    return;
  }
  const url = new URL(window.location.href);
  url.searchParams.delete(PARAMETER);
  window.history.replaceState(window.history.state, "", url);
  notify();
}

// A click beside what is in the sheet is one on the dialog itself.
export function closeFrom(event: { target: EventTarget | null; currentTarget: HTMLDialogElement }) {
  if (event.target === event.currentTarget) event.currentTarget.close();
}

interface Sheet {
  ref: { current: HTMLDialogElement | null };
  wanted: string;
}

// Opens and closes the dialog as the address says, and asks the server (`ask`) for what is in it: again where the `plan`
// has changed, and while it could not be told (`passes`). `told` is the signal that the server told last, and `opened`
// rises when something else asked for it.
export function useSheet(
  reached: boolean,
  plan: string,
  told: number,
  opened: number,
  passes: boolean,
  alive: boolean,
  ask: (id: string) => void,
): Sheet {
  const ref = useRef<HTMLDialogElement>(null);
  const asked = useRef("");
  const wanted = useSyncExternalStore(follow, named, () => "");
  useEffect(() => {
    if (opened <= entered) return;
    entered = opened;
    // What it was opened with is here already.
    asked.current = `${told} ${plan}`;
    openSignal(String(told));
  }, [opened, told, plan]);
  useEffect(() => {
    const question = `${wanted} ${plan}`;
    if (!reached || !wanted || asked.current === question) return;
    asked.current = question;
    ask(wanted);
  }, [reached, wanted, plan, ask]);
  useAgain(passes && wanted !== "" && wanted === String(told), alive, () => ask(wanted));
  useEffect(() => {
    const dialog = ref.current;
    if (!dialog) return;
    if (wanted && !dialog.open) {
      dialog.showModal();
      dialog.scrollTop = 0;
    }
    if (!wanted && dialog.open) dialog.close();
  }, [wanted]);
  return { ref, wanted };
}
