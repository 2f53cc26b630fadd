// Web push in this browser: alerts that arrive without an open page, through the worker in `sw.js`. What is on is what
// the browser is subscribed to; which account it serves is kept by the server.
import { useEffect } from "react";
import { ask, backendOrigin, post } from "./server.ts";
import { shared, store } from "./store.ts";

const WORKER = "/sw.js";

// `known`: the browser has been asked; `on`: it is subscribed.
const UNKNOWN = { known: false, supported: false, on: false, busy: false, problem: "" };
const state = store({ ...UNKNOWN });

const BLOCKED =
  "Your browser blocks notifications from FlashCur. Allow them in the site settings beside the address, then turn web push on again.";
const UNSUPPORTED = "This browser does not support web push.";
const ON_IOS = "On an iPhone or iPad, first add FlashCur to the home screen, open it there, then turn web push on.";
const NOT_HERE = "This site cannot send web push yet. Choose another channel.";
const REFUSED = "Your browser’s push service refused. It may be turned off in the browser’s settings.";
const ALREADY = "This browser had an old connection, which is gone now. Turn web push on again.";

function supported(): boolean {
  return typeof window !== "undefined" && "serviceWorker" in navigator && "PushManager" in window;
}

// Apple has web push for pages on the home screen only.
function unsupported(): string {
  return /iPad|iPhone|iPod/.test(navigator.userAgent) ? ON_IOS : UNSUPPORTED;
}

// The key as `subscribe` takes it: URL-safe Base64 without padding.
export function keyBytes(text: string): Uint8Array<ArrayBuffer> {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

function worker(port: number): Promise<ServiceWorkerRegistration> {
  const routes = backendOrigin(port);
  return navigator.serviceWorker.register(routes ? `${WORKER}?routes=${encodeURIComponent(routes)}` : WORKER);
}

async function subscription(): Promise<PushSubscription | null> {
  const registration = supported() ? await navigator.serviceWorker.getRegistration(WORKER) : undefined;
  return (await registration?.pushManager.getSubscription()) ?? null;
}

async function look() {
  if (!supported()) return state.set({ ...UNKNOWN, known: true, problem: "" });
  const found = await subscription().catch(() => null);
  const on = found !== null && Notification.permission === "granted";
  state.set({ ...state.get(), known: true, supported: true, on });
}

// Why it did not work, in words; empty where it did.
async function connect(port: number): Promise<string> {
  if (!supported()) return unsupported();
  const answer = await ask(`${backendOrigin(port)}/api/v1/push/key`);
  if (!answer.ok) return answer.error;
  if (!answer.key) return NOT_HERE;
  const permission = await Notification.requestPermission();
  if (permission !== "granted") return permission === "denied" ? BLOCKED : "";
  let made: PushSubscription;
  try {
    const registration = await worker(port);
    await navigator.serviceWorker.ready;
    made = await registration.pushManager.subscribe({
      userVisibleOnly: true,
      applicationServerKey: keyBytes(String(answer.key)),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "InvalidStateError") {
      // Subscribed with the key that the server had before.
      await (await subscription())?.unsubscribe();
      return ALREADY;
    }
    return REFUSED;
  }
  const kept = await post(`${backendOrigin(port)}/api/v1/push`, made.toJSON());
  // What the server does not know of would never be used.
  if (!kept.ok) await made.unsubscribe();
  return kept.ok ? "" : kept.error;
}

async function disconnect(port: number): Promise<string> {
  const found = await subscription();
  if (!found) return "";
  const answer = await post(`${backendOrigin(port)}/api/v1/push/off`, { endpoint: found.endpoint });
  // Signed out meanwhile: it is off in the browser, and the server finds that out by itself.
  if (!answer.ok && answer.status !== 401) return answer.error;
  await found.unsubscribe();
  return "";
}

async function act(work: (port: number) => Promise<string>, port: number) {
  if (state.get().busy) return;
  state.set({ ...state.get(), busy: true, problem: "" });
  const problem = await work(port).catch(() => REFUSED);
  state.set({ ...state.get(), busy: false, problem });
  await look();
}

export const turnPushOn = (port: number) => act(connect, port);
export const turnPushOff = (port: number) => act(disconnect, port);

// Before signing out: the next who uses this browser is not to be shown what was this account's. Never throws, and
// keeps nobody waiting for long.
export async function leavePush(port: number) {
  const late = new Promise<void>((over) => setTimeout(over, 2000));
  await Promise.race([disconnect(port).catch(() => ""), late]);
}

const attend = shared(() => {
  look();
  // The permission may be taken away in another window.
  document.addEventListener("visibilitychange", look);
  return () => document.removeEventListener("visibilitychange", look);
});

export const pushState = () => state.get();

export function usePush() {
  useEffect(attend, []);
  return state.use();
}
