// Forms that Reflex sends to a state: once, and emptied when they were taken in.
import { useEffect, useRef, useState } from "react";
import { store } from "./store.ts";

const AGAIN_MS = 1000;

// The form that was last sent on this page: a state outlives the page, so what it says may be of an earlier one.
const submitted = store("", (own) => own.set(""));
let last: { form: HTMLFormElement; data: string; at: number } | null = null;
const dataOf = (form: HTMLFormElement) => JSON.stringify([...new FormData(form)]);

// A double click sends a form once; what was changed in between goes out as it is. A form in a menu closes it.
export function once(event: React.FormEvent<HTMLFormElement>, name: string) {
  const form = event.currentTarget;
  const data = dataOf(form);
  if (last?.form === form && last.data === data && Date.now() - last.at < AGAIN_MS) {
    event.preventDefault();
    event.stopPropagation();
    return;
  }
  last = { form, data, at: Date.now() };
  submitted.set(name);
  form.closest<HTMLElement>("[popover]")?.hidePopover();
}

// What was said of a change of address is over once the account's address is another.
export function useSubmitted(email = ""): string {
  const former = useRef(email);
  useEffect(() => {
    if (former.current !== email && submitted.get() === "address") submitted.set("");
    former.current = email;
  }, [email]);
  return submitted.use();
}
export const unsubmitted = () => submitted.get() && submitted.set("");

// Empties the form that was sent last when `number` says that it was taken in, unless it was filled in anew.
export function useTaken(number: number) {
  useEffect(() => {
    if (number && last && dataOf(last.form) === last.data) last.form.reset();
    last = null;
  }, [number]);
}

// A value that is told once: it stays in the page when the state, which does not keep it, is sent anew, until somebody
// is done with it.
const away = store("", (own) => own.set(""));
export function putAway(value: string, end: (why: string) => void) {
  away.set(value);
  end("done");
}
export function useKept(value: string): string {
  const [kept, keep] = useState(value);
  const gone = away.use();
  if (value && value !== kept) keep(value);
  const told = value || kept;
  return told === gone ? "" : told;
}

// What the server said (`said`) is over once the part of the page that shows it was left: then it is told, by `end`.
export function useLeaving(said: boolean, end: (why: string) => void) {
  const latest = useRef({ said, end });
  latest.current = { said, end };
  useEffect(() => () => void (latest.current.said && latest.current.end("left")), []);
}
