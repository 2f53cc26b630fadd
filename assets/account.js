// The browser's half of accounts: forms that are posted, tabs that follow a session, the line that tells what became of
// a click, files. What is allowed is decided on the server (flashcur/web/routes/auth.py, export_routes.py).
import { useContext, useEffect, useRef, useSyncExternalStore } from "react";
import { useLocation } from "react-router";
import { ColorModeContext } from "$/utils/context";
import { backendOrigin } from "$/public/backend.js";
import { forgetWalletError, walletAct } from "$/public/wallet.js";

const inBrowser = typeof window !== "undefined";

// A value that components follow; forgotten once nobody does, as when another page is shown.
function store(fresh, forgetful = true) {
  let value = fresh;
  const listeners = new Set();
  const set = (next) => {
    value = next;
    listeners.forEach((notify) => notify());
  };
  return {
    get: () => value,
    server: () => fresh,
    set,
    change: (part) => set({ ...value, ...part }),
    follow(notify) {
      listeners.add(notify);
      return () => {
        listeners.delete(notify);
        // React exchanges components in one go: a moment is enough to see whether another took over.
        if (forgetful) setTimeout(() => listeners.size > 0 || set(fresh));
      };
    },
  };
}
const useStore = (of) => useSyncExternalStore(of.follow, of.get, of.server);

const stores = new Map();
function named(kind, name, fresh) {
  const key = `${kind} ${name}`;
  if (!stores.has(key)) stores.set(key, store(fresh));
  return stores.get(key);
}

// ---- asking the server ----------------------------------------------------------------------------------------------

const NO_CONNECTION = "No connection to FlashCur: check yours and try again.";

// The answer; what failed has `ok: false` and a text to show. Never throws.
async function ask(url, options) {
  let response;
  try {
    response = await fetch(url, {
      credentials: "include",
      cache: "no-store",
      ...options,
      headers: { accept: "application/json", ...options?.headers },
    });
  } catch {
    return { ok: false, status: 0, error: NO_CONNECTION };
  }
  const body = await response.text().catch(() => "");
  let answer = null;
  try {
    answer = JSON.parse(body);
  } catch {
    // Not JSON: a file, or an error of something between us and the server.
  }
  if (response.ok) return { ...answer, ok: true, status: response.status, body };
  const said = typeof answer?.error === "string" && answer.error;
  const error = said || `FlashCur answered with an error (${response.status}): try again in a moment.`;
  return { field: "", ...answer, ok: false, status: response.status, error };
}

const post = (url, fields) =>
  ask(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(fields) });

// ---- the session, in every tab --------------------------------------------------------------------------------------

// A cookie that scripts can read changes with the session. A page is of the session that it was loaded with.
const mark = () => (inBrowser && document.cookie.match(/(?:^|;\s*)flashcur_mark=([^;]*)/)?.[1]) || "";
const ours = mark();
const channel = inBrowser && "BroadcastChannel" in window ? new BroadcastChannel("flashcur") : null;
let leaving = false;

// This tab is about to load a page: whatever it shows in between does not matter.
function leave() {
  leaving = true;
  setTimeout(() => (leaving = false), 5000);
}

function follow() {
  if (!leaving && mark() !== ours) {
    leave();
    window.location.reload();
  }
}

function tellTabs() {
  channel?.postMessage("session");
}

// Other tabs hear of it by `storage` as well, where a tab was signed in or out by other means than these.
const LAST = "flashcur_mark";
if (inBrowser) {
  channel?.addEventListener("message", follow);
  window.addEventListener("storage", follow);
  window.addEventListener("focus", follow);
  document.addEventListener("visibilitychange", follow);
  window.addEventListener("beforeunload", leave);
  window.addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    leaving = false;
    stores.forEach((each) => each.set(each.server()));
    follow();
  });
  try {
    if (localStorage.getItem(LAST) !== ours) localStorage.setItem(LAST, ours);
  } catch {
    // No storage here: tabs follow when they are looked at.
  }
}

// Whatever an answer holds, nobody is led to another site.
function inside(next, otherwise = "/") {
  try {
    const url = new URL(next, window.location.origin);
    // Dots may shorten a path to one that begins with two slashes, which is another site's address.
    const plain = /^\/(?![/\\])/.test(next) && !url.pathname.startsWith("//") && url.origin === window.location.origin;
    return plain ? `${url.pathname}${url.search}${url.hash}` : otherwise;
  } catch {
    return otherwise;
  }
}

function go(next) {
  leave();
  tellTabs();
  window.location.assign(inside(next));
}

export async function signOut(backend, next = "/") {
  const answer = await post(`${backend}/auth/sign-out`, { next });
  if (answer.ok) go(answer.next ?? next);
  else say(`You are still signed in. ${answer.error}`, true);
}

// ---- forms ----------------------------------------------------------------------------------------------------------

// `why` tells an error that the form cannot mend: its link is dead, or there is an account already. `asked` is a field
// that is needed only after the server asked for it; it stays from then on.
const FORM = { busy: false, error: "", field: "", sent: "", why: "", asked: "" };
const formOf = (name) => named("form", name, FORM);
export const useForm = (name) => useStore(formOf(name));

function shownIn(form, field) {
  const control = field && form.elements.namedItem(field);
  return control instanceof HTMLElement && control.type !== "hidden" ? control : null;
}

function reason({ status, field }) {
  if (status === 409) return "conflict";
  return status === 400 && field === "token" ? "link" : "";
}

// Post a form to a route. Refused: what is wrong is shown and what was typed stays. Done: `sent` says what the page
// shows next, or the browser goes where the answer leads.
export async function submitTo(event, name, path, port) {
  event.preventDefault();
  const form = event.currentTarget;
  const state = formOf(name);
  if (state.get().busy) return;
  const { asked } = state.get();
  state.set({ ...FORM, asked, busy: true });
  const answer = await post(`${backendOrigin(port)}${path}`, Object.fromEntries(new FormData(form)));
  if (!answer.ok) {
    const control = shownIn(form, answer.field);
    const field = control ? answer.field : "";
    state.set({ ...FORM, error: answer.error, field, why: reason(answer), asked: field || asked });
    // After it is drawn: what is hidden cannot have the focus.
    setTimeout(() => control?.focus());
    return;
  }
  const sent = answer.email ?? (typeof answer.changed === "boolean" ? (answer.changed ? "changed" : "half") : "");
  if (!sent) return go(answer.next);
  state.set({ ...FORM, sent });
  // After it is drawn: who listens to the page hears what became of the form.
  setTimeout(() => document.getElementById(`${name}-sent`)?.focus());
}

export function again(name) {
  formOf(name).set(FORM);
}

// How long a password is; the server counts the same way.
const lengthOf = (name) => named("length", name, 0);
export function useLength(name) {
  // A form that is made anew is empty.
  useEffect(() => lengthOf(name).set(0), [name]);
  return useStore(lengthOf(name));
}
export const typed = (name, text) => lengthOf(name).set([...text.normalize("NFKC")].length);

// The form that was last sent to a state on this page: a state outlives the page, so what it says may be of an earlier
// one.
const submitted = store("");
// What was said of a change of address is over once the account's address is another.
export function useSubmitted(email = "") {
  const former = useRef(email);
  useEffect(() => {
    if (former.current !== email && submitted.get() === "address") submitted.set("");
    former.current = email;
  }, [email]);
  return useStore(submitted);
}
export const unsubmitted = () => submitted.get() && submitted.set("");

// A double click sends a form once; what was changed in between goes out as it is.
const AGAIN_MS = 1000;
const sentForms = new WeakMap();
export function once(event, name = "") {
  const form = event.currentTarget;
  const data = JSON.stringify([...new FormData(form)]);
  const last = sentForms.get(form);
  if (last && last.data === data && Date.now() - last.at < AGAIN_MS) {
    event.preventDefault();
    event.stopPropagation();
    return;
  }
  sentForms.set(form, { data, at: Date.now() });
  if (name) submitted.set(name);
}

// The account is gone: so is its cookie, and the pages of other tabs.
export function useDeleted(done, backend) {
  useEffect(() => {
    if (done) signOut(backend, "/login?done=deleted");
  }, [done, backend]);
}

// ---- what the address says ------------------------------------------------------------------------------------------

const never = () => () => {};
const parameter = (name) => new URLSearchParams(window.location.search).get(name) ?? "";

export const nextFromUrl = () => {
  const next = inside(parameter("next"));
  return /^\/(login|register)\b/.test(next) ? "/" : next;
};
export const useNext = () => useSyncExternalStore(never, nextFromUrl, () => "/");

export const useAgain = () => useSyncExternalStore(never, () => parameter("again") === "1", () => false);

const PROBLEMS = {
  wrong: "The address or the password is not right.",
  conflict: "That was changed or used in the meantime: look again.",
  throttled: "Too many attempts: wait a few minutes, then try again.",
  unavailable: "FlashCur cannot do this right now, and nothing was changed: try again in a moment.",
  invalid: "Something in the form was not right: look it over and try again.",
};
// A form that was sent before the page's script had started is answered with a word in the address.
export const problemFromUrl = () => {
  const word = parameter("problem");
  return word && (Object.hasOwn(PROBLEMS, word) ? PROBLEMS[word] : PROBLEMS.invalid);
};
export const useProblem = () => useSyncExternalStore(never, problemFromUrl, () => "");

const DONE = {
  "done reset": "Your password is set. Other devices are signed out.",
  "done deleted": "Your account and all that belonged to it is deleted.",
  "done 1": "Your address is changed.",
  "done 0": "One of the two links is opened. Now open the link in the mail to the other address.",
  "sent 1": "We have sent a link to the address that you gave: look into its mailbox.",
};
const doneFromUrl = () =>
  DONE[`done ${parameter("done")}`] ?? DONE[`sent ${parameter("sent")}`] ?? "";
export const useDone = () => useSyncExternalStore(never, doneFromUrl, () => "");

// The token of a link in a mail. It leaves the address bar at once, so that neither shoulders, nor screenshots, nor the
// next site learn it; the entry of the history keeps it for a reload.
const LOADING = { ready: false, value: "" };
const token = store(LOADING);

export function tokenFromUrl() {
  const url = new URL(window.location.href);
  const value = url.searchParams.get("token") ?? window.history.state?.token ?? "";
  if (url.searchParams.has("token")) {
    url.searchParams.delete("token");
    window.history.replaceState({ ...window.history.state, token: value }, "", url);
  }
  return value;
}

function followToken(notify) {
  const stop = token.follow(notify);
  if (!token.get().ready) token.set({ ready: true, value: tokenFromUrl() });
  return stop;
}

export const useToken = () => useSyncExternalStore(followToken, token.get, token.server);

// Where a link leads within a page whose content comes later.
export function useAnchor(there) {
  useEffect(() => {
    if (there && window.location.hash) document.getElementById(window.location.hash.slice(1))?.scrollIntoView();
  }, [there]);
}

// ---- one line about what became of a click --------------------------------------------------------------------------

const SHOW_MS = 6000;
const SHOW_BAD_MS = 12_000;
const SILENCE = { text: "", bad: false, link: "", linkText: "" };
const notice = store(SILENCE, false);

export function say(text, bad = false, link = "", linkText = "") {
  // Back here after signing in.
  const { pathname, search } = window.location;
  const to = link === "/login" ? `/login?next=${encodeURIComponent(pathname + search)}` : link;
  notice.set({ text, bad, link: to, linkText });
}

export const dismiss = () => notice.set(SILENCE);

// A state outlives the page: what it says is shown once in a tab.
const SEEN = "flashcur_notice";
const remembered = () => {
  try {
    return sessionStorage.getItem(SEEN) ?? "";
  } catch {
    return "";
  }
};
const remember = (number) => {
  try {
    sessionStorage.setItem(SEEN, String(number));
  } catch {
    // Shown again after a reload, then.
  }
};

// What the bar shows: the newest of the server's notices and this module's own.
export function useNotice(text, bad, link, linkText, number) {
  const shown = useStore(notice);
  const { pathname } = useLocation();
  const page = useRef(pathname);
  // What was said of another page of the app is over.
  useEffect(() => {
    if (page.current === pathname) return;
    page.current = pathname;
    dismiss();
  }, [pathname]);
  useEffect(() => {
    if (!number || remembered() === String(number)) return;
    remember(number);
    if (text) say(text, bad, link, linkText);
    // Something went well without a word: an earlier refusal is over.
    else if (notice.get().bad) dismiss();
  }, [text, bad, link, linkText, number]);
  useEffect(() => {
    if (!shown.text) return undefined;
    const timer = setTimeout(dismiss, shown.bad ? SHOW_BAD_MS : SHOW_MS);
    return () => clearTimeout(timer);
  }, [shown]);
  return shown;
}

// Refused because it is too long ago that this person signed in.
export const needsAgain = ({ status, error }) => status === 403 && /sign in again/i.test(error ?? "");

// Offer what helps with a refusal.
function sayRefused({ status, error }) {
  if (status === 401) say(error, true, "/login", "Sign in");
  else if (status === 403) say(error, true, "/pricing", "Compare plans");
  else say(error, true);
}

if (inBrowser && parameter("welcome")) {
  const url = new URL(window.location.href);
  url.searchParams.delete("welcome");
  window.history.replaceState(window.history.state, "", url);
  say("Welcome to FlashCur: your account is ready.");
}

// ---- theme ----------------------------------------------------------------------------------------------------------

// The account's theme counts on every device; one that is chosen with the header's button becomes the account's.
export function useAccountTheme(theme) {
  const { rawColorMode, setColorMode } = useContext(ColorModeContext);
  const known = useRef("");
  const settling = useRef(false);
  useEffect(() => {
    if (!theme || theme !== known.current) {
      known.current = theme;
      settling.current = Boolean(theme) && rawColorMode !== theme;
      if (settling.current) setColorMode(theme);
    } else if (rawColorMode === theme) {
      settling.current = false;
    } else if (!settling.current) {
      document.getElementById("keep-theme")?.click();
    }
  }, [theme, rawColorMode, setColorMode]);
  return theme;
}

// The choice of themes: shown at once, and kept for the account by the hook above.
export function useThemeChoice() {
  const { rawColorMode, setColorMode } = useContext(ColorModeContext);
  return { theme: rawColorMode, choose: ({ target }) => setColorMode(target.value) };
}

export const deviceZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

// ---- wallets --------------------------------------------------------------------------------------------------------

// What went wrong is over once other wallets are linked.
export function useWalletNews(linked) {
  useEffect(() => void forgetWalletError(), [linked]);
  return linked;
}

export async function linkWallet(id, backend) {
  const answer = await walletAct(id, "link", "", backend);
  if (answer.ok) say("The wallet is linked: you can sign in with it from now on.");
}

// ---- files ----------------------------------------------------------------------------------------------------------

function copyByHand(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.style.cssText = "position:fixed;opacity:0";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("not copied");
}

async function write(text) {
  if (!navigator.clipboard) return copyByHand(await text);
  try {
    // Begun within the click, before the text is here: Safari asks for that.
    const blob = text.then((all) => new Blob([all], { type: "text/plain" }));
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
  } catch {
    await navigator.clipboard.writeText(await text);
  }
}

// Put a file of the server into the clipboard; within a click.
export async function copyText(url) {
  let refused = null;
  const text = ask(url).then((answer) => {
    if (!answer.ok) refused = answer;
    return answer.ok ? answer.body : Promise.reject(new Error("refused"));
  });
  text.catch(() => {});
  try {
    await write(text);
    const count = (await text).split(/[\n,]/).filter((line) => line.trim() && !line.startsWith("###")).length;
    if (count === 0) say("There is no contract to copy.", true);
    else say(`Copied ${counted(count, "contract")}: paste them into TradingView or anywhere else.`);
  } catch {
    if (refused) sayRefused(refused);
    else say("The browser did not allow copying: export the file instead.", true);
  }
}

const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

const MOST_BYTES = 512_000;
// The list of contracts without one (flashcur/domain/watchlists.py).
const FAVOURITES = "Favourites";

// The text of a file: UTF-16 where it says so, UTF-8, or what Windows wrote before that.
async function readText(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

// Numbers as people read them.
export const grouped = (number) => Number(number).toLocaleString("en");

const IMPORT = { busy: false, error: "", link: false, done: "", message: "", notes: [] };
const NAMED_MOST = 5;
const imported = store(IMPORT);
let importedAt = 0;
export const forgetImport = () => !imported.get().busy && imported.set(IMPORT);
// What came of an import is over once the lists change by something else; its own change comes with the answer.
export function useImport(lists = "") {
  const former = useRef(lists);
  useEffect(() => {
    if (former.current !== lists && Date.now() - importedAt > 3000) forgetImport();
    former.current = lists;
  }, [lists]);
  return useStore(imported);
}

function notesOf(answer) {
  const notes = (answer.skipped_first ?? []).slice(0, NAMED_MOST).map(({ line, text, reason }) => `Line ${line}: “${text}” is ${reason}`);
  if (answer.skipped > notes.length) notes.push(`and ${grouped(answer.skipped - notes.length)} more that are no contracts`);
  const strange = (answer.unknown_first ?? []).slice(0, NAMED_MOST);
  if (strange.length > 0) {
    const rest = answer.unknown > strange.length ? ` and ${grouped(answer.unknown - strange.length)} more` : "";
    notes.push(`Taken in, but not traded here now: ${strange.join(", ")}${rest}`);
  }
  if (answer.duplicates > 0) notes.push(`${counted(answer.duplicates, "entry").replace("entrys", "entries")} stood there twice`);
  return notes;
}

// Take in the file that was chosen, or else the text that was pasted.
export async function importFile(event, port) {
  event.preventDefault();
  const form = event.currentTarget;
  if (imported.get().busy) return;
  const fields = new FormData(form);
  const file = fields.get("file");
  // Without a choice there is a file without a name.
  const chosen = file instanceof File && (file.name !== "" || file.size > 0);
  if (chosen && file.size > MOST_BYTES) {
    imported.set({ ...IMPORT, error: `The file is too large: expected at most ${MOST_BYTES / 1000} kB.` });
    return;
  }
  const text = chosen ? await readText(file) : String(fields.get("text") ?? "");
  if (text.includes("\0")) {
    imported.set({ ...IMPORT, error: "This is not a text file." });
    return;
  }
  if (!text.replace(/^\uFEFF/, "").trim()) {
    imported.set({ ...IMPORT, error: chosen ? "The file is empty." : "Choose a file, or paste its text." });
    return;
  }
  imported.set({ ...IMPORT, busy: true });
  const list = fields.get("list") ?? "";
  const answer = await post(`${backendOrigin(port)}/import/watchlists`, { text, list });
  importedAt = Date.now();
  if (!answer.ok) {
    imported.set({ ...IMPORT, error: answer.error, link: answer.status === 403 });
    return;
  }
  const lists = answer.created.length > 0 ? `, new: ${answer.created.join(", ")}` : "";
  const already = answer.already > 0 ? `, ${grouped(answer.already)} there already` : "";
  const left = answer.left_out > 0 ? `, ${grouped(answer.left_out)} left out` : "";
  // What no header stands above goes there, unless the answer names it among the new lists.
  const unnamed = !list && !/^\uFEFF?\s*###/.test(text) && !answer.created.includes(FAVOURITES);
  const into = unnamed && answer.added > 0 ? ` into ${FAVOURITES}` : "";
  imported.set({
    ...IMPORT,
    done: `${counted(answer.added, "contract")} added${into}${already}${left}${lists}.`,
    message: answer.message,
    link: Boolean(answer.message),
    notes: notesOf(answer),
  });
  form.reset();
}

// ---- keys of the API ------------------------------------------------------------------------------------------------

const KEY = { busy: false, error: "", key: "", again: false };
const newKey = store(KEY);
export const useNewKey = () => useStore(newKey);

// Where programs reach the API: the pages' own origin, where routes have no other.
export const apiOrigin = (port) => backendOrigin(port) || (inBrowser ? window.location.origin : "");

// Make a key; it is shown this once.
export async function createKey(backend) {
  const { busy, key } = newKey.get();
  if (busy) return;
  // The key that stands there is shown nowhere else: only another one takes its place.
  newKey.set({ ...KEY, key, busy: true });
  const answer = await post(`${backend}/account/api-keys`, {});
  if (answer.ok) newKey.set({ ...KEY, key: answer.key });
  else newKey.set({ ...KEY, key, error: answer.error, again: needsAgain(answer) });
}

export async function copyPlain(text) {
  try {
    await write(Promise.resolve(text));
    say("Copied.");
  } catch {
    say("The browser did not allow copying: select the text and copy it.", true);
  }
}

export const baseOf = (symbol) => (symbol.length > 4 && symbol.endsWith("USDT") ? symbol.slice(0, -4) : symbol);
export const parts = (text) => (text ? text.split("|") : []);

// ---- watchlists: where the keyboard is -----------------------------------------------------------------------------

// What is in a closed menu still has its box.
const visible = (element) => element.checkVisibility?.() ?? element.getClientRects().length > 0;
const usable = (element) => element?.isConnected && !element.disabled && visible(element);
const CONTROLS = "button, a, input, select, textarea, summary";

// Where the focus was before what had it was removed, closed or switched off.
function placeOf(element) {
  const card = element.closest(".list");
  const cards = [...document.querySelectorAll(".list")];
  const chip = element.closest(".symbols li");
  return {
    element,
    menu: element.closest("details")?.querySelector("summary")?.textContent ?? "",
    details: element.closest("details"),
    list: card?.dataset.list ?? "",
    at: cards.indexOf(card),
    chip: chip ? [...chip.parentElement.children].indexOf(chip) : -1,
  };
}

function neighbourOf({ element, menu, details, list, at, chip }) {
  if (usable(element)) return element;
  const summary = details?.isConnected && details.querySelector("summary");
  if (usable(summary)) return summary;
  const cards = [...document.querySelectorAll(".list")];
  const card = cards.find((each) => each.dataset.list === list);
  if (!card) {
    const next = cards[Math.min(Math.max(at, 0), cards.length - 1)];
    return next?.querySelector(".actions a") ?? document.querySelector("#new :is(input, a)");
  }
  const chips = [...card.querySelectorAll(".symbols button")];
  if (chip >= 0 && chips.length > 0) return chips[Math.min(chip, chips.length - 1)];
  if (chip >= 0) return card.querySelector(".add .input");
  if (menu) return [...card.querySelectorAll("summary")].find((each) => each.textContent === menu);
  // One of the two that move a list is switched off at the ends.
  return [...card.querySelectorAll("[data-move]")].find(usable) ?? card.querySelector(".actions a");
}

// Keeps the focus near where it was when a list or a contract goes; opening a form puts it into its field.
export function useNearFocus() {
  useEffect(() => {
    let last = null;
    const root = () => document.querySelector(".watchlists");
    const note = ({ target }) => {
      const control = root()?.contains(target) ? target.closest(CONTROLS) : null;
      // A click on a closed menu's own button is of the menu.
      last = control && placeOf(control);
    };
    const opened = ({ target }) => {
      const field = target.open && root()?.contains(target) && target.querySelector('input[type="text"]');
      field?.select?.();
    };
    const settle = () => {
      const { activeElement } = document;
      if (!last || (activeElement && activeElement !== document.body && usable(activeElement))) return;
      neighbourOf(last)?.focus();
    };
    const watcher = new MutationObserver(settle);
    const start = root();
    if (start) watcher.observe(start, { subtree: true, childList: true, attributeFilter: ["open", "disabled"] });
    document.addEventListener("pointerdown", note, true);
    document.addEventListener("focusin", note);
    document.addEventListener("toggle", opened, true);
    return () => {
      watcher.disconnect();
      document.removeEventListener("pointerdown", note, true);
      document.removeEventListener("focusin", note);
      document.removeEventListener("toggle", opened, true);
    };
  }, []);
  return "1";
}

// A contract that was sent to a list stays in its field until it is taken in, and is there to be mended if it is not.
let sentContract = null;
export function addContract(event, name) {
  once(event);
  const input = event.currentTarget.elements.namedItem("symbol");
  sentContract = { input, text: input.value };
  submitted.set(name);
}
export function useAdded(number) {
  useEffect(() => {
    if (sentContract?.input.value === sentContract?.text && sentContract) sentContract.input.value = "";
    sentContract = null;
  }, [number]);
  return number;
}
