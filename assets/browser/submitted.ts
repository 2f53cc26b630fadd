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

// A value that is told once: it stays in the page when the state, which does not keep it, is sent anew.
export function useKept(value: string): string {
  const [kept, keep] = useState(value);
  if (value && value !== kept) keep(value);
  return value || kept;
}
