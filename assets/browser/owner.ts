// One tab of a browser owns a thing, such as its sound: the Web Locks API decides, and where a page may not use that
// (over plain HTTP), a lease in the browser's storage that its owner renews.
const LEASE_MS = 6000;
const RENEW_MS = 2000;

export interface Claim {
  readonly owned: boolean;
  leave(): void;
}

// Waits for `name` until it is left, or the tab is closed.
export function claim(name: string): Claim {
  return globalThis.navigator?.locks ? byLock(name) : byLease(name);
}

function byLock(name: string): Claim {
  const waiting = new AbortController();
  let release = () => {};
  let owned = false;
  navigator.locks
    .request(name, { signal: waiting.signal }, () => {
      owned = true;
      return new Promise<void>((resolve) => {
        release = resolve;
      });
    })
    .catch(() => {
      // Left before it was owned.
    });
  return {
    get owned() {
      return owned;
    },
    leave() {
      owned = false;
      waiting.abort();
      release();
    },
  };
}

interface Lease {
  tab: string;
  until: number;
}

function leaseOf(name: string): Lease | null {
  try {
    return JSON.parse(localStorage.getItem(name) ?? "null");
  } catch {
    return null;
  }
}

function byLease(name: string): Claim {
  const tab = `${Date.now()}.${Math.random()}`;
  let owned = false;
  const renew = () => {
    const lease = leaseOf(name);
    const free = !lease || lease.until < Date.now() || lease.tab === tab;
    // Of two that take it at once the second has it: what one wrote is believed once it was found again.
    owned = lease?.tab === tab && lease.until >= Date.now();
    if (!free) return;
    try {
      localStorage.setItem(name, JSON.stringify({ tab, until: Date.now() + LEASE_MS }));
    } catch {
      // No storage: nobody owns anything.
    }
  };
  renew();
  const timer = setInterval(renew, RENEW_MS);
  const leave = () => {
    clearInterval(timer);
    if (leaseOf(name)?.tab === tab) localStorage.removeItem(name);
    owned = false;
  };
  globalThis.window?.addEventListener("pagehide", leave);
  return {
    get owned() {
      return owned && leaseOf(name)?.tab === tab;
    },
    leave,
  };
}
