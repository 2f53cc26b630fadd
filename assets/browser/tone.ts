// The sound of a signal: two short notes, higher ones for a rise. Browsers let a tab sound only after a gesture in it.
const NOTES: Record<string, [number, number]> = { bullish: [660, 880], bearish: [660, 495], none: [660, 660] };
const NOTE_S = 0.13;
const LOUDNESS = 0.12;

let context: AudioContext | null = null;

export const canSound = () => context?.state === "running";

// Within a gesture: from now on this tab can sound.
export async function allowSound(): Promise<boolean> {
  try {
    context ??= new AudioContext();
    await context.resume();
  } catch {
    // No sound device, or none that may be used.
  }
  return canSound();
}

export function sound(direction: string) {
  if (!context || !canSound()) return;
  const gain = context.createGain();
  gain.connect(context.destination);
  (NOTES[direction] ?? NOTES.none).forEach((pitch, number) => {
    const begin = context!.currentTime + number * NOTE_S;
    const note = context!.createOscillator();
    note.frequency.value = pitch;
    note.connect(gain);
    // Without a click at either end.
    gain.gain.setValueAtTime(0.0001, begin);
    gain.gain.exponentialRampToValueAtTime(LOUDNESS, begin + 0.02);
    gain.gain.exponentialRampToValueAtTime(0.0001, begin + NOTE_S);
    note.start(begin);
    note.stop(begin + NOTE_S);
  });
}
