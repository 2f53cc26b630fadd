// Asks again by itself for what could not be told: soon at first, then less and less often, and at once when frames
// come again.
import { useEffect, useRef } from "react";

const FIRST_MS = 2000;
const LONGEST_MS = 60_000;

// How long before the `nth` time that it is asked again, from 0; `chance` (0 to 1) keeps tabs apart.
export const pauseMs = (nth: number, chance: number) => Math.min(FIRST_MS * 2 ** nth, LONGEST_MS) * (0.75 + chance / 2);

// For as long as there is no answer, or the last was none (`failing`). `alive`: frames come.
export function useAgain(failing: boolean, alive: boolean, ask: () => void) {
  const asking = useRef(ask);
  asking.current = ask;
  useEffect(() => {
    if (!failing) return undefined;
    let timer: ReturnType<typeof setTimeout>;
    const wait = (nth: number) => {
      timer = setTimeout(
        () => {
          asking.current();
          wait(nth + 1);
        },
        pauseMs(nth, Math.random()),
      );
    };
    wait(0);
    return () => clearTimeout(timer);
  }, [failing]);
  const wasAlive = useRef(alive);
  useEffect(() => {
    if (alive && !wasAlive.current && failing) asking.current();
    wasAlive.current = alive;
  }, [alive, failing]);
}
