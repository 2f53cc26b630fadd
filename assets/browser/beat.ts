// What follows the frames and the clock: the lag of the newest frame, countdowns, the flash of moved prices.
import { useEffect, useRef, useSyncExternalStore } from "react";
import { countdown } from "./ages.ts";
import { store } from "./store.ts";

const QUIET_S = 3;
const FLASH_MS = 450;

// One timer for the page, however many components follow it, and none while nobody does.
let timer: ReturnType<typeof setInterval> | undefined;
const look = () => ({ at: performance.now(), time: Date.now() });
const clock = store(
  { at: 0, time: 0 },
  () => {
    clearInterval(timer);
    timer = undefined;
  },
  (own) => {
    if (timer) return;
    timer = setInterval(() => own.set(look()), 1000);
    own.set(look());
  },
);

const newest = { beat: 0, at: 0 };
function arrived(beat: number) {
  if (beat === newest.beat && newest.at) return;
  const late = lag() > 0;
  Object.assign(newest, { beat, at: performance.now() });
  if (late) clock.set(look());
}
function lag(): number {
  const seconds = newest.at ? Math.floor((clock.get().at - newest.at) / 1000) : 0;
  return seconds > QUIET_S ? seconds : 0;
}

// Whole seconds since the last frame arrived, 0 while frames come; re-renders only while they do not.
export function useLag(beat: number): number {
  useEffect(() => arrived(beat), [beat]);
  return useSyncExternalStore(clock.follow, lag, () => 0);
}

// How far the server's clock is ahead, in ms.
const server = { asOf: 0, ahead: 0 };
function set(asOf: number) {
  if (asOf && asOf !== server.asOf) Object.assign(server, { asOf, ahead: asOf - Date.now() });
}

// Time until a Unix time in ms, by the server's clock, which `asOf` tells.
export function useCountdown(target: number, asOf: number): string {
  useEffect(() => set(asOf), [asOf]);
  const left = () => Math.max(0, Math.round((target - clock.get().time - server.ahead) / 1000));
  return useSyncExternalStore(
    clock.follow,
    () => (target ? countdown(left()) : ""),
    () => "",
  );
}

// Moved prices are coloured for a moment after each frame. One class on the table that comes and goes costs two style
// passes a second; an animation in each cell cost a third of the main thread.
export function useFlash(beat: number) {
  const table = useRef<HTMLElement>(null);
  useEffect(() => {
    const element = table.current;
    if (!element || !beat) return undefined;
    element.classList.add("flash");
    const timer = setTimeout(() => element.classList.remove("flash"), FLASH_MS);
    return () => clearTimeout(timer);
  }, [beat]);
  return table;
}
