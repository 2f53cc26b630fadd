// What follows the frames and the clock: the lag of a connection, countdowns, the flash of moved prices.
import { useEffect, useRef, useState } from "react";
import { countdown } from "./ages.ts";

const QUIET_S = 3;
const GIVE_UP_S = 6;
const AGAIN_S = 15;
const FLASH_MS = 450;

// Whole seconds since the last frame arrived, 0 while frames come; re-renders only while they do not. A link that went
// dead without a word is dropped after GIVE_UP_S, so that the client connects anew instead of waiting for a time-out.
export function useLag(beat: number): number {
  const last = useRef(0);
  const [lag, setLag] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is the change that counts
  useEffect(() => {
    last.current = performance.now();
    setLag(0);
  }, [beat]);
  useEffect(() => {
    let dropped = 0;
    const timer = setInterval(() => {
      const now = performance.now();
      const seconds = Math.floor((now - last.current) / 1000);
      setLag(seconds > QUIET_S ? seconds : 0);
      if (seconds >= GIVE_UP_S && now - dropped > AGAIN_S * 1000 && navigator.onLine && !document.hidden) {
        dropped = now;
        window.dispatchEvent(new Event("offline"));
      }
    }, 1000);
    // The network is back: connect at once instead of after the client's next pause.
    const back = () => document.dispatchEvent(new Event("visibilitychange"));
    window.addEventListener("online", back);
    return () => {
      clearInterval(timer);
      window.removeEventListener("online", back);
    };
  }, []);
  return lag;
}

// Time until a Unix time in ms, by the server's clock, which `asOf` tells.
export function useCountdown(target: number, asOf: number): string {
  const offset = useRef(0);
  const [left, setLeft] = useState("");
  useEffect(() => {
    if (asOf) offset.current = asOf - Date.now();
  }, [asOf]);
  useEffect(() => {
    if (!target) return setLeft("");
    const show = () => setLeft(countdown(Math.max(0, Math.round((target - Date.now() - offset.current) / 1000))));
    show();
    const timer = setInterval(show, 1000);
    return () => clearInterval(timer);
  }, [target]);
  return left;
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
