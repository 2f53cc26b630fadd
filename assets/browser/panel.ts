// Whether the panel of signals is open: beside the table, where that is kept in this browser, or as a sheet over it.
import { useEffect } from "react";
import { shared, store } from "./store.ts";

// The page's head reads the same before the first paint (flashcur/components/signals/panel.py).
const KEPT = "flashcur_signals";
const CLOSED = "closed";
const PANEL = "#signals-panel";
const BELL = "#signals-button";

const panel = () => document.querySelector<HTMLElement>(PANEL);
// The style says where it is; it says so of a panel that is closed, too.
const isBeside = () => {
  const element = panel();
  return element !== null && getComputedStyle(element).position !== "fixed";
};

// What is open; the page that was built has it beside.
const state = store({ open: true, beside: true, sheet: false });
const kept = () => document.documentElement.dataset.signals !== CLOSED;

function look(changes: { sheet?: boolean } = {}) {
  const beside = isBeside();
  const sheet = !beside && (changes.sheet ?? state.get().sheet);
  const open = beside ? kept() : sheet;
  const before = state.get();
  if (before.open !== open || before.beside !== beside || before.sheet !== sheet) state.set({ open, beside, sheet });
}

function keep(open: boolean) {
  if (open) delete document.documentElement.dataset.signals;
  else document.documentElement.dataset.signals = CLOSED;
  try {
    if (open) localStorage.removeItem(KEPT);
    else localStorage.setItem(KEPT, CLOSED);
  } catch {
    // No storage: it is open again after a reload, then.
  }
}

export function setPanel(open: boolean) {
  const beside = isBeside();
  if (beside) keep(open);
  look({ sheet: open });
  // Whoever opened a sheet is in it, and back at the button when it closes.
  if (!beside) setTimeout(() => (open ? panel() : document.querySelector<HTMLElement>(BELL))?.focus());
}

export const togglePanel = () => setPanel(!state.get().open);

// Escape closes the sheet, unless something above it is meant.
function press(event: KeyboardEvent) {
  if (event.key !== "Escape" || !state.get().sheet) return;
  if (document.querySelector("dialog[open], :popover-open")) return;
  setPanel(false);
}

const resized = () => look();

const attend = shared(() => {
  look();
  window.addEventListener("resize", resized);
  document.addEventListener("keydown", press);
  return () => {
    window.removeEventListener("resize", resized);
    document.removeEventListener("keydown", press);
  };
});

export function usePanel() {
  useEffect(attend, []);
  return state.use();
}

export const isOpen = () => state.get().open;
export const followPanel = state.follow;
