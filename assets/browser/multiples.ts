// Names that count a coin by the thousand; the server does the same (flashcur/domain/multiples.py).
import { MULTIPLE } from "./facts.ts";

const pattern = new RegExp(`^${MULTIPLE}$`, "s");

// The coin that a base asset or a symbol is about, in capitals: SHIB of "1000SHIBUSDT" and "shib1000".
export function coin(text: string): string {
  const name = text.toUpperCase();
  const base = (name.endsWith("USDT") && name.slice(0, -4)) || name;
  const found = pattern.exec(base);
  return found ? (found[2] ?? found[3] ?? found[5]) : base;
}
