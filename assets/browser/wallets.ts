// The wallets of this browser: those that announce themselves (EIP-6963), and what older ones put into `window.ethereum`.
import { requestProviders } from "mipd";
import { store } from "./store.ts";

export type Provider = { request(call: { method: string; params?: unknown[] }): Promise<unknown> };
type Wallet = { id: string; name: string; icon: string };

const FALLBACK_MS = 300;
const INJECTED = "injected";

const announced = new Map<string, { wallet: Wallet; provider: Provider }>();
// One that is announced as well stands in the list by its name.
let fallback: Provider | null = null;
let looking = false;
const wallets = store<Wallet[]>([], undefined, look);
export const useWallets = () => wallets.use();

const canSign = (provider: unknown): provider is Provider => typeof (provider as Provider)?.request === "function";

function publish() {
  const found = [...announced.values()];
  const alone = fallback && found.every(({ provider }) => provider !== fallback);
  wallets.set([...found.map(({ wallet }) => wallet), ...(alone ? [{ id: INJECTED, name: "", icon: "" }] : [])]);
}

// Any script of an extension can announce anything.
function hear(detail: unknown) {
  const { info, provider } = (detail ?? {}) as { info?: Record<string, unknown>; provider?: unknown };
  const [id, name, icon] = [info?.uuid, info?.name, info?.icon].map((value) =>
    typeof value === "string" ? value : "",
  );
  // Wallets announce themselves again whenever any page asks; the first with an id keeps it.
  if (!id || announced.has(id) || !canSign(provider)) return;
  const plain = name.replace(/\p{C}/gu, "").trim().slice(0, 40);
  announced.set(id, { wallet: { id, name: plain, icon: /^data:image\//i.test(icon) ? icon : "" }, provider });
  publish();
}

function fallBack() {
  const { ethereum } = window as { ethereum?: unknown };
  if (announced.size > 0 || !canSign(ethereum)) return;
  fallback = ethereum;
  publish();
}

function look() {
  if (looking) return;
  looking = true;
  requestProviders(hear);
  setTimeout(fallBack, FALLBACK_MS);
  // Some come after the page has loaded.
  window.addEventListener("ethereum#initialized", () => setTimeout(fallBack, FALLBACK_MS), { once: true });
}

export function providerOf(id: string): Provider | null {
  look();
  return announced.get(id)?.provider ?? (id === INJECTED ? fallback : null);
}
