// The session, in every tab. A cookie that scripts can read changes with it; a page is of the session that it was loaded
// with, and loads anew when that changes.
import { inside } from "./address.ts";
import { say } from "./notice.ts";
import { leavePush } from "./push.ts";
import { backendOrigin, post } from "./server.ts";

const COOKIE = "flashcur_mark";
const inBrowser = typeof window !== "undefined";
const mark = () => (inBrowser && document.cookie.match(`(?:^|;\\s*)${COOKIE}=([^;]*)`)?.[1]) || "";
const ours = mark();
const channel = inBrowser ? new BroadcastChannel("flashcur") : null;
let leaving = false;

// This tab is about to load a page: whatever it shows in between does not matter.
function leave() {
  leaving = true;
  setTimeout(() => {
    leaving = false;
  }, 5000);
}

function follow() {
  if (leaving || mark() === ours) return;
  leave();
  window.location.reload();
}

export function go(next = "/") {
  leave();
  channel?.postMessage("session");
  window.location.assign(inside(next));
}

// `not` is said where it fails, before the reason.
export async function signOut(port: number, not: string) {
  await leavePush(port);
  const answer = await post(`${backendOrigin(port)}/auth/sign-out`, {});
  if (answer.ok) go(answer.next);
  else say({ text: `${not} ${answer.error}`, bad: true });
}

if (inBrowser) {
  channel?.addEventListener("message", follow);
  for (const event of ["storage", "focus", "beforeunload"])
    window.addEventListener(event, event === "beforeunload" ? leave : follow);
  document.addEventListener("visibilitychange", follow);
  window.addEventListener("pageshow", ({ persisted }) => {
    if (persisted) leaving = false;
    follow();
  });
  try {
    // Other tabs hear of it by `storage` as well, where a tab was signed in or out by other means than these.
    if (localStorage.getItem(COOKIE) !== ours) localStorage.setItem(COOKIE, ours);
  } catch {
    // No storage here: tabs follow when they are looked at.
  }
}
