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

// An effect of the page and not of a component, however many components have it: `begin` runs with the first of them,
// and what it returned with the last.
export function shared(begin: () => () => void): () => () => void {
  let users = 0;
  let end = () => {};
  return () => {
    users += 1;
    if (users === 1) end = begin();
    return () => {
      users -= 1;
      if (users === 0) end();
    };
  };
}
