// A value that components follow.
import { useSyncExternalStore } from "react";

export interface Store<T> {
  get(): T;
  set(next: T): void;
  follow(notify: () => void): () => void;
  use(): T;
}

// `left` is what happens once nobody follows any more, as when another page is shown; `joined` when somebody does.
export function store<T>(fresh: T, left = (_: Store<T>) => {}, joined = (_: Store<T>) => {}): Store<T> {
  let value = fresh;
  const listeners = new Set<() => void>();
  const own: Store<T> = {
    get: () => value,
    set(next) {
      value = next;
      for (const notify of listeners) notify();
    },
    follow(notify) {
      listeners.add(notify);
      joined(own);
      return () => {
        listeners.delete(notify);
        // React exchanges components in one go: a moment is enough to see whether another took over.
        setTimeout(() => listeners.size > 0 || left(own));
      };
    },
    use: () => useSyncExternalStore(own.follow, own.get, () => fresh),
  };
  return own;
}
