// Asking the server's routes. The sentences here are those that must be said without an answer of the server.

// What comes with a refusal; `why` is what the form cannot mend, `link` where the person can do something about it.
const REFUSAL = { ok: false, status: 0, error: "", field: "", why: "", link: "", link_text: "" };
// What comes when it is done: what the page shows (`sent`, `said`) or where the browser goes (`next`).
export type Answer = typeof REFUSAL & { sent?: string; said?: string; next?: string; [more: string]: unknown };

// Where the routes are: on the page's own port (or port 0, which stands for it), or on another of the same host.
export function backendOrigin(port: number | string): string {
  // The pages are rendered once without a browser, when they are built.
  if (typeof window === "undefined") return "";
  const { protocol, hostname, port: own } = window.location;
  const here = Number(own || (protocol === "https:" ? 443 : 80));
  return !Number(port) || Number(port) === here ? "" : `${protocol}//${hostname}:${port}`;
}

// The answer, in JSON; what failed has `ok: false` and an `error` to show. Never throws.
export async function ask(url: string, options: RequestInit = {}): Promise<Answer> {
  let response: Response;
  try {
    const headers = { accept: "application/json", ...options.headers };
    response = await fetch(url, { credentials: "include", cache: "no-store", ...options, headers });
  } catch {
    return { ...REFUSAL, error: "No connection to FlashCur: check yours and try again." };
  }
  const { ok, status } = response;
  const answer = await response.json().catch(() => null);
  if (ok && answer) return { ...REFUSAL, ...answer, ok, status };
  const failed = `FlashCur answered with an error (${status}): try again in a moment.`;
  const error = ok ? "FlashCur’s answer did not arrive whole: try again." : failed;
  return { ...REFUSAL, error, ...answer, ok: false, status };
}

// Fields go out as JSON, a form with a file as it is.
export function post(url: string, fields: object, signal?: AbortSignal): Promise<Answer> {
  if (fields instanceof FormData) return ask(url, { method: "POST", body: fields, signal });
  const headers = { "content-type": "application/json" };
  return ask(url, { method: "POST", headers, body: JSON.stringify(fields), signal });
}
