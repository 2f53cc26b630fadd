// The view of the table as an address has it.
import { CHOICES, type Choice, SEARCH_LENGTH, VIEW } from "./facts.ts";
import { amount } from "./rows.ts";

export type View = typeof VIEW;

// The view in an address; what is unknown or wrong counts as not given, as on the server (flashcur/domain/view.py).
export function read(query: string): View {
  const params = new URLSearchParams(query);
  const chosen = { ...VIEW };
  for (const key of Object.keys(VIEW) as Choice[]) {
    const value = params.get(key);
    if (value === null || CHOICES[key]?.includes(value) === false) continue;
    chosen[key] = key === "min" ? (Number.isFinite(amount(value)) ? value : "") : value.slice(0, SEARCH_LENGTH);
  }
  return chosen;
}

// The same as an address has it: what differs from the default.
export const write = (chosen: View) =>
  new URLSearchParams(Object.entries(chosen).filter(([key, value]) => value !== VIEW[key as Choice])).toString();
