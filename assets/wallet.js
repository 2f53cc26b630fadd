// Wallets in the browser: finding them (EIP-6963), having one sign the server's text, and telling how far that is.
// What is signed is made and checked on the server (flashcur/services/auth).
import { useSyncExternalStore } from "react";

const CHAINS = [1, 10, 137, 8453, 42161];
const HOME = "0x1";
const FALLBACK_MS = 300;

// A value that components follow.
function store(value) {
  const listeners = new Set();
  return {
    get: () => value,
    set(next) {
      value = next;
      listeners.forEach((notify) => notify());
    },
    follow(notify) {
      listeners.add(notify);
      return () => listeners.delete(notify);
    },
    followed: () => listeners.size > 0,
  };
}

// ---- finding wallets ------------------------------------------------------------------------------------------------

const NONE = [];
const INJECTED = { id: "injected", name: "Browser wallet", icon: "" };
const wallets = store(NONE);
const announced = new Map();
// What older wallets put into `window.ethereum`; one that is announced as well stands in the list by its name.
let fallback = null;
let looking = false;

function publish() {
  const found = [...announced.values()];
  const extra = fallback !== null && found.every(({ provider }) => provider !== fallback) ? [INJECTED] : [];
  wallets.set([...found.map(({ wallet }) => wallet), ...extra]);
}

function hear({ detail }) {
  const { info, provider } = detail ?? {};
  const id = info?.uuid;
  // Wallets announce themselves again whenever any page asks; the first with an id keeps it.
  if (typeof id !== "string" || !id || announced.has(id) || typeof provider?.request !== "function") return;
  const name = String(info.name ?? "").replace(/\p{C}/gu, "").trim().slice(0, 40) || "Wallet";
  const icon = /^data:image\//i.test(info.icon) ? info.icon : "";
  announced.set(id, { wallet: { id, name, icon }, provider });
  publish();
}

function fallBack() {
  if (announced.size > 0 || typeof window.ethereum?.request !== "function") return;
  fallback = window.ethereum;
  publish();
}

function look() {
  if (looking) return;
  looking = true;
  window.addEventListener("eip6963:announceProvider", hear);
  window.dispatchEvent(new Event("eip6963:requestProvider"));
  setTimeout(fallBack, FALLBACK_MS);
  // Some come after the page has loaded.
  window.addEventListener("ethereum#initialized", () => setTimeout(fallBack, FALLBACK_MS), { once: true });
}

function providerOf(id) {
  look();
  return announced.get(id)?.provider ?? (id === INJECTED.id ? fallback : null);
}

function followWallets(notify) {
  look();
  return wallets.follow(notify);
}

export const useWallets = () => useSyncExternalStore(followWallets, wallets.get, () => NONE);

// ---- how far it is --------------------------------------------------------------------------------------------------

const IDLE = { busy: "", step: "", error: "" };
const progress = store(IDLE);
// The AbortController of the flow that runs; one at a time.
let flow = null;

export function cancelWallet() {
  flow?.abort();
  flow = null;
  progress.set(IDLE);
}

function followProgress(notify) {
  const stop = progress.follow(notify);
  return () => {
    stop();
    // Who went to another page of the app must not be taken away from it by a signature that comes later. React
    // exchanges components in one go, so a moment is enough to see whether another took over.
    setTimeout(() => progress.followed() || cancelWallet());
  };
}

export const useWalletProgress = () => useSyncExternalStore(followProgress, progress.get, () => IDLE);

// What went wrong is over.
export const forgetWalletError = () => progress.get().error && progress.set(IDLE);

// Back from where the sign-in led to, the browser shows the page as it was left: busy.
if (typeof window !== "undefined")
  window.addEventListener("pageshow", ({ persisted }) => persisted && cancelWallet());

// ---- having a text signed -------------------------------------------------------------------------------------------

// Something that can be said to the person as it is.
class Failure extends Error {
  constructor(message, answer = {}) {
    super(message);
    this.answer = answer;
  }
}

const LOCKED = "Your wallet is locked, or does not show this page an account: unlock it and try again.";

function words(error) {
  if (error instanceof Failure) return error.message;
  const code = error?.data?.originalError?.code ?? error?.code;
  const text = typeof error?.message === "string" ? error.message.trim() : "";
  if (code === 4001 || code === "ACTION_REJECTED" || /user (rejected|denied|cancel)/i.test(text))
    return "You declined in your wallet.";
  if (code === -32002) return "Your wallet already has a request open: look there.";
  if (code === 4100) return LOCKED;
  if (code === 4900 || code === 4901) return "Your wallet has no connection to its network: check it and try again.";
  if (code === 4200 || code === -32601) return "This wallet cannot sign texts: use another one.";
  return text ? `Your wallet answered: ${text.slice(0, 160)}` : "Your wallet failed without saying why: try again.";
}

// A provider may never answer; giving up then is the person's choice (`cancelWallet`).
function untilAborted(signal, promise) {
  return new Promise((resolve, reject) => {
    promise.then(resolve, reject);
    signal.throwIfAborted();
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

// Phones show the wallet's app and let the page sleep, and then kill its requests: they wait until it is seen again.
const seen = () =>
  new Promise((resolve) => {
    const look = () => {
      if (document.visibilityState === "hidden") return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    look();
  });

async function post(url, body, signal) {
  await untilAborted(signal, seen());
  let response;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      credentials: "include",
      cache: "no-store",
      signal,
    });
  } catch {
    signal.throwIfAborted();
    throw new Failure("No connection to FlashCur: check yours and try again.");
  }
  const answer = await response.json().catch(() => null);
  signal.throwIfAborted();
  if (!response.ok) {
    const said = typeof answer?.error === "string" && answer.error;
    const otherwise = `FlashCur answered with an error (${response.status}): try again in a moment.`;
    throw new Failure(said || otherwise, { ...answer, status: response.status });
  }
  if (answer === null || typeof answer !== "object")
    throw new Failure("FlashCur's answer did not arrive whole: try again.");
  return answer;
}

const digits = (byte) => byte.toString(16).padStart(2, "0");
const hex = (text) => `0x${Array.from(new TextEncoder().encode(text), digits).join("")}`;

async function run(provider, purpose, next, backend, signal) {
  const request = async (method, params) => provider.request({ method, params });
  const ask = (method, params = []) => untilAborted(signal, request(method, params));
  const account = async (method) => {
    const [address] = (await ask(method)) ?? [];
    if (typeof address !== "string") throw new Failure(LOCKED);
    return address;
  };
  const chain = async () => Number(await ask("eth_chainId"));

  const address = await account("eth_requestAccounts");
  let chainId = await chain();
  if (!CHAINS.includes(chainId)) {
    try {
      await ask("wallet_switchEthereumChain", [{ chainId: HOME }]);
    } catch (error) {
      signal.throwIfAborted();
      if (error?.code === 4001 || error?.code === -32002) throw error;
      // Whether it can be switched from here or not, what counts is where the wallet is now.
    }
    chainId = await chain();
    if (!CHAINS.includes(chainId))
      throw new Failure("Choose Ethereum, OP Mainnet, Polygon, Base or Arbitrum One in your wallet, then try again.");
  }

  const challenge = await post(`${backend}/auth/wallet/challenge`, { address, chain_id: chainId, purpose }, signal);
  progress.set({ ...progress.get(), step: "sign" });
  const signature = await ask("personal_sign", [hex(challenge.text), address]);

  progress.set({ ...progress.get(), step: "check" });
  // Accounts and chains can be changed while the wallet is open; the server says so in words.
  const now = { address: await account("eth_accounts"), chain_id: await chain() };
  return post(`${backend}/auth/wallet/verify`, { nonce: challenge.nonce, ...now, signature, purpose, next }, signal);
}

// Whatever the answer holds, nobody is led to another site.
function inside(next) {
  try {
    const url = new URL(next, window.location.origin);
    return url.origin === window.location.origin ? url.href : "/";
  } catch {
    return "/";
  }
}

// Connect, sign, check. Signing in leads to `next`; `link` and `confirm` return the server's answer, `{ok: true, …}`.
// What failed is shown by `useWalletProgress` and returned as `{ok: false, error}`; nothing is thrown. While one runs,
// and after it was cancelled, the error is empty.
export async function walletAct(id, purpose, next, backend) {
  if (flow !== null) return { ok: false, error: "" };
  const mine = new AbortController();
  flow = mine;
  progress.set({ ...IDLE, busy: id, step: "connect" });
  try {
    const provider = providerOf(id);
    if (!provider) throw new Failure("This wallet is no longer here: load the page again.");
    const answer = await run(provider, purpose, next, backend, mine.signal);
    if (purpose === "sign-in") {
      // Stays busy: the page is about to go.
      window.location.assign(inside(answer.next));
    } else {
      flow = null;
      progress.set(IDLE);
    }
    return answer;
  } catch (error) {
    if (flow !== mine) return { ok: false, error: "" };
    flow = null;
    const again = error?.answer?.status === 403 && /sign in again/i.test(words(error));
    progress.set({ ...IDLE, error: words(error), ...(again && { again }) });
    return { ...error?.answer, ok: false, error: words(error) };
  }
}
