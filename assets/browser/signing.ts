// Having a wallet sign the server's text, and telling how far that is. The text is made and checked on the server.
import { CHAINS } from "./facts.ts";
import { say } from "./notice.ts";
import { type Answer, backendOrigin, post } from "./server.ts";
import { go } from "./session.ts";
import { store } from "./store.ts";
import { type Provider, providerOf } from "./wallets.ts";

// `error` is a word that the page has a sentence for, `text` what the wallet or the server said itself.
const IDLE = { busy: "", step: "", error: "", text: "", link: "", link_text: "" };
// Who went to another page of the app is not taken away from it by a signature that comes later.
const progress = store(IDLE, cancelWallet);
export const useWalletProgress = () => progress.use();
// The flow that runs; one at a time.
let flow: AbortController | null = null;

export function cancelWallet() {
  flow?.abort();
  flow = null;
  progress.set(IDLE);
}

// Back from where the sign-in led to, the browser shows the page as it was left: busy.
globalThis.window?.addEventListener("pageshow", ({ persisted }) => persisted && cancelWallet());

class Failure extends Error {
  answer: Partial<Answer>;
  constructor(word: string, answer: Partial<Answer> = {}) {
    super(word);
    this.answer = answer;
  }
}

// biome-ignore format: a table
const CODES: Record<string, string> = {
  "4001": "declined", ACTION_REJECTED: "declined", "-32002": "pending", "4100": "locked",
  "4900": "offline", "4901": "offline", "4200": "unable", "-32601": "unable",
};
type Thrown = { code?: unknown; message?: unknown; data?: { originalError?: { code?: unknown } } };
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  const { code, message, data } = (thrown ?? {}) as Thrown;
  const text = typeof message === "string" ? message.trim() : "";
  const declined = /user (rejected|denied|cancel)/i.test(text) && "declined";
  const word = CODES[String(data?.originalError?.code ?? code)] || declined || (text ? "said" : "silent");
  return new Failure(word, word === "said" ? { error: text.slice(0, 160) } : {});
}

// A provider may never answer; giving up then is the person's choice (`cancelWallet`).
function untilAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    signal.throwIfAborted();
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  return Promise.race([promise, aborted]);
}

// Phones show the wallet's app and let the page sleep, and then kill its requests: they wait until it is seen again.
const seen = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const look = () => document.visibilityState !== "hidden" && resolve();
    document.addEventListener("visibilitychange", look, { signal });
    look();
  });

const hex = (text: string) =>
  `0x${Array.from(new TextEncoder().encode(text), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;

async function run(provider: Provider, purpose: string, next: string, origin: string, signal: AbortSignal) {
  const request = async (method: string, params: unknown[]) => provider.request({ method, params });
  const ask = (method: string, params: unknown[] = []) => untilAborted(signal, request(method, params));
  const account = async (method: string) => {
    const accounts = await ask(method);
    if (!Array.isArray(accounts) || typeof accounts[0] !== "string") throw new Failure("locked");
    return accounts[0];
  };
  const chain = async () => Number(await ask("eth_chainId"));
  const send = async (path: string, fields: object) => {
    await untilAborted(signal, seen(signal));
    const answer = await post(`${origin}/auth/wallet/${path}`, { ...fields, purpose }, signal);
    signal.throwIfAborted();
    if (!answer.ok) throw new Failure("refused", answer);
    return answer;
  };

  const address = await account("eth_requestAccounts");
  let chain_id = await chain();
  if (!CHAINS.includes(chain_id)) {
    await ask("wallet_switchEthereumChain", [{ chainId: `0x${CHAINS[0].toString(16)}` }]).catch((error) => {
      signal.throwIfAborted();
      if (["declined", "pending"].includes(failureOf(error).message)) throw error;
      // Whether it can be switched from here or not, what counts is where the wallet is now.
    });
    chain_id = await chain();
    if (!CHAINS.includes(chain_id)) throw new Failure("chain");
  }
  const { nonce, text } = await send("challenge", { address, chain_id });
  progress.set({ ...progress.get(), step: "sign" });
  const signature = await ask("personal_sign", [hex(String(text)), address]);
  progress.set({ ...progress.get(), step: "check" });
  // Accounts and chains can be changed while the wallet is open; the server says so in words.
  return send("verify", { nonce, address: await account("eth_accounts"), chain_id: await chain(), signature, next });
}

// Connect, sign, check. To `sign-in` leads to `next`; after `link` the page shows what the answer says. What failed is
// shown by `useWalletProgress` and returned; nothing is thrown. While one runs, and after it was cancelled, the error is
// empty.
export async function walletAct(id: string, purpose: string, next: string, port: number): Promise<Partial<Answer>> {
  if (flow !== null) return { ok: false, error: "" };
  const mine = new AbortController();
  flow = mine;
  progress.set({ ...IDLE, busy: id, step: "connect" });
  try {
    const provider = providerOf(id);
    if (!provider) throw new Failure("gone");
    const answer = await run(provider, purpose, next, backendOrigin(port), mine.signal);
    // Stays busy where the page is about to go.
    if (purpose === "sign-in") go(answer.next);
    else {
      cancelWallet();
      say({ text: answer.said });
    }
    return answer;
  } catch (error) {
    if (flow !== mine) return { ok: false, error: "" };
    flow = null;
    const { message, answer } = failureOf(error);
    const { error: text = "", link = "", link_text = "" } = answer;
    progress.set({ ...IDLE, error: message, text, link, link_text });
    return { ...answer, ok: false, error: message };
  }
}
