// The contracts that have just fired, for the table to mark: what a plan could see for at most ten minutes, and
// was found when it happened.
const SHOWN_MS = 600_000;

export type Fired = Record<string, { says: string; side: string }>;

let made: { of: string; fired: Fired } = { of: "", fired: {} };

// By symbol, what its newest signal was and which way it points; `now` is the server's time, in steps. The columns are
// those of SignalsState, the newest first. Made anew only where something has changed: the table asks every second.
export function firedOf(columns: Record<string, string>, now: number): Fired {
  const { id, at, later } = columns;
  const of = `${id} ${at} ${later} ${now}`;
  if (made.of !== of) made = { of, fired: now ? gather(columns, now) : {} };
  return made.fired;
}

function gather(columns: Record<string, string>, now: number): Fired {
  const of = (name: string) => (columns[name] ? columns[name].split("|") : []);
  const [symbol, title, direction, at, later, late] = ["symbol", "title", "direction", "at", "later", "late"].map(of);
  const fired: Fired = {};
  symbol.forEach((name, i) => {
    if (fired[name] || late[i] || now - Number(at[i]) - Number(later[i]) > SHOWN_MS) return;
    const side = direction[i];
    fired[name] = { says: side === "none" ? title[i] : `${title[i]}, ${side}`, side };
  });
  return fired;
}
