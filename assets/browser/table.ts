// The pointer and the keyboard over the table. One handler for all rows: one in each of 500 would cost more than they do.
import type { CSSProperties } from "react";
import { useEffect, useRef } from "react";
import { useForm } from "./origin.ts";
import { store } from "./store.ts";
import { setView } from "./view.ts";

const CARD_HEIGHT = 110;
const SLACK_PX = 8;

interface Card {
  cell: Element;
  style: CSSProperties;
  hours: string;
  yearly: string;
  due: number; // Unix ms, 0 where it is not known
}
const card = store<Card | null>(null);
export const useCard = () => card.use();
// It belongs to a cell, which a scroll takes away.
export const hideCard = () => card.get() && card.set(null);

const under = (event: { target: EventTarget | null }, selector: string) =>
  event.target instanceof Element ? event.target.closest<HTMLElement>(selector) : null;

// Shows the card of the funding cell under the pointer (or finger), hides it elsewhere.
export function pointAt(event: { type: string; target: EventTarget | null }) {
  const cell = event.type === "mouseleave" ? null : under(event, 'td[data-col="funding"]');
  if (!cell?.dataset.hint) return hideCard();
  if (card.get()?.cell === cell) return;
  const box = cell.getBoundingClientRect();
  const [hours, minute, yearly] = cell.dataset.hint.split("|");
  const below = box.bottom + CARD_HEIGHT < window.innerHeight;
  const place = below ? { top: box.bottom + 4 } : { bottom: window.innerHeight - box.top + 4 };
  const style = { right: Math.max(8, window.innerWidth - box.right), ...place };
  card.set({ cell, style, hours, yearly: `${Number(yearly) > 0 ? "+" : ""}${yearly}`, due: Number(minute) * 60_000 });
}

// Where a pointer went down, and on which button. Rows change their places while it is down; then it goes up over another
// row, and no click follows.
let down: { button: HTMLElement | null; x: number; y: number } | null = null;
export function press(event: PointerEvent) {
  down = { button: under(event, "tr button"), x: event.clientX, y: event.clientY };
}

// The contract whose button of that kind was clicked, or was under a pointer that has not moved since it was pressed.
function clicked(event: MouseEvent, selector: string): string | undefined {
  let button = under(event, selector);
  if (event.type === "pointerup") {
    const left = down?.button?.contains(event.target as Node) === false;
    const still = down && Math.hypot(event.clientX - down.x, event.clientY - down.y) < SLACK_PX;
    button = left && still ? (down?.button?.closest<HTMLElement>(selector) ?? null) : null;
  }
  return button?.closest("tr")?.dataset.symbol;
}

// Tells the server which contract's star was clicked; of clicks and pointers that go up.
export function clickStar(event: MouseEvent, send: (symbol: string) => void) {
  const symbol = clicked(event, "button.star");
  if (symbol) send(symbol);
}

// Begins a rule for the contract whose bell was clicked; of the same.
export function useBell(): (event: MouseEvent) => void {
  const open = useForm();
  return (event) => {
    const symbol = clicked(event, "button.new-alert");
    if (symbol) open(`/alerts?rule=new&symbol=${encodeURIComponent(symbol)}`);
  };
}

// "/" goes to the search field, as in every tool of this kind; Escape empties it. Returns the field's ref.
export function useSearchKey() {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const busy = document.activeElement?.matches("input, select, textarea");
      if (event.key === "/" && !busy && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        field.current?.focus();
      } else if (event.key === "Escape" && document.activeElement === field.current) {
        setView({ q: "" });
        field.current?.blur();
      }
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
  return field;
}

export const grouped = (number: number | string) => Number(number).toLocaleString("en");
