// The view of the table as an address has it.
import { CHOICES, type Choice, SEARCH_LENGTH, VIEW } from "./facts.ts";
import { amount } from "./rows.ts";

export type View = typeof VIEW;

// What an address says of the view; what is unknown or wrong counts as not given, as on the server
// (flashcur/domain/view.py).
export function given(query: string): Partial<View> {
  const params = new URLSearchParams(query);
  const chosen: Partial<View> = {};
  for (const key of Object.keys(VIEW) as Choice[]) {
    const value = params.get(key);
    if (value === null || CHOICES[key]?.includes(value) === false) continue;
    if (key === "min" && value && !Number.isFinite(amount(value))) continue;
    chosen[key] = key === "min" ? value : value.slice(0, SEARCH_LENGTH);
  }
  return chosen;
}

export const read = (query: string): View => ({ ...VIEW, ...given(query) });

// The same as an address has it: what differs from the default.
export const write = (chosen: View) =>
  new URLSearchParams(Object.entries(chosen).filter(([key, value]) => value !== VIEW[key as Choice])).toString();
