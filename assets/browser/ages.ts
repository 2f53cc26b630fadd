// How old the values are.
import { useEffect, useSyncExternalStore } from "react";
import { AGE_ALLOWANCES } from "./facts.ts";
import { shared } from "./store.ts";

export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86400)}d`;
}

// A row's ages (`p12s,f3m`: a letter for what, and how old) while nothing arrives: every value grows older by the lag.
export function older(known: string, lag: number, volume: number): string {
  const ages = known ? known.split(",") : [];
  const seen = new Set(ages.map((age) => age[0]));
  const marked = ages.map((age) => (age.endsWith("s") ? age[0] + duration(Number(age.slice(1, -1)) + lag) : age));
  for (const [letter, from, large, small] of AGE_ALLOWANCES)
    if (!seen.has(letter) && lag > (volume >= from ? large : small)) marked.push(letter + duration(lag));
  return marked.join(",");
}

// One cell's age from a row's ages; undefined, so no attribute, where it is within its allowance.
export function ageOf(ages: string, letter: string): string | undefined {
  return ages
    ? ages
        .split(",")
        .find((age) => age[0] === letter)
        ?.slice(1)
    : undefined;
}

export const clock = (ms: number) => (ms ? new Date(ms).toISOString().slice(11, 19) : "");

export function countdown(seconds: number): string {
  const two = (number: number) => String(number).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return `${hours ? `${hours}:${two(minutes % 60)}` : minutes}:${two(seconds % 60)}`;
}

const UNITS: [number, string, string][] = [
  [86_400_000, "day", "days"],
  [3_600_000, "h", "h"],
  [60_000, "min", "min"],
  [1000, "s", "s"],
];

const NOW_MS = 5000;

// "3 min ago": a time (Unix ms) as seen at `now`; "" while either is not known.
export function ago(now: number, ms: number): string {
  if (!now || !ms) return "";
  if (now - ms < NOW_MS) return "just now";
  const [size, one, many] = UNITS.find(([least]) => now - ms >= least) ?? UNITS[UNITS.length - 1];
  const count = Math.floor((now - ms) / size);
  return `${count} ${count === 1 ? one : many} ago`;
}

// The server's time, in steps of ten seconds: what is marked for some minutes follows it.
let now = 0;
const waiting = new Set<() => void>();
const coarse = () => Math.floor(now / 10_000) * 10_000;
export function usePast(asOf: number): number {
  useEffect(() => {
    const before = coarse();
    now = Math.max(now, asOf);
    if (coarse() !== before) for (const each of waiting) each();
  }, [asOf]);
  return useSyncExternalStore(
    (notify) => {
      waiting.add(notify);
      return () => void waiting.delete(notify);
    },
    coarse,
    () => 0,
  );
}

// How far the server's clock is ahead of the page's, as the frame that was shortest on its way says; null before the first.
let ahead: number | null = null;
const exactly = () => (ahead === null ? 0 : performance.now() + ahead);

// The age of `at` (Unix ms) right now; `rewrite` keeps it right from then on.
export const agoNow = (at: number | string) => ago(exactly(), Number(at));

// Whatever says how long ago something was carries the time itself. Its text is written past React, which would draw
// the table, the panel and the list anew for it: React writes a text only where it has made another one, and then that
// is right, too. What a translator made of it is written over.
export function rewrite(root: ParentNode) {
  for (const each of root.querySelectorAll<HTMLElement>(".ago[data-at]")) {
    const text = agoNow(each.dataset.at ?? "");
    if (each.textContent !== text) each.textContent = text;
  }
}

const tick = shared(() => {
  const seen = () => document.hidden || rewrite(document);
  const timer = setInterval(seen, 1000);
  document.addEventListener("visibilitychange", seen);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", seen);
  };
});

// Keeps the ages on the page right, to the second below a minute. One component of the page calls it.
export function useAges(asOf: number) {
  useEffect(tick, []);
  useEffect(() => {
    if (!asOf) return;
    const first = ahead === null;
    ahead = Math.max(ahead ?? Number.NEGATIVE_INFINITY, asOf - performance.now());
    if (first) rewrite(document);
  }, [asOf]);
}
