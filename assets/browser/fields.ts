// Passwords while they are typed: how long they are, and shown on demand.
import { useEffect } from "react";
import { type Store, store } from "./store.ts";

const lengths: Record<string, Store<number>> = {};
const lengthOf = (form: string) => (lengths[form] ??= store(0));
// The server counts the same way.
export const typed = (form: string, text: string) => lengthOf(form).set([...text.normalize("NFKC")].length);
export function useLength(form: string): number {
  // A form that is made anew is empty.
  useEffect(() => lengthOf(form).set(0), [form]);
  return lengthOf(form).use();
}

// Show or hide what was typed into the password field beside the button that was pressed.
export function revealPassword({ currentTarget: button }: { currentTarget: HTMLElement }) {
  const input = button.parentElement!.querySelector("input")!;
  const show = (shown: boolean) => {
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
  };
  show(input.type === "password");
  // Password managers only offer to save what is sent from a password field.
  input.form?.addEventListener("submit", () => show(false), { once: true });
  input.focus();
}
