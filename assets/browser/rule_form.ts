// The form of a rule, in a sheet over the page. The address says what it is about, so that it can be shared, reloaded and
// left by going back; what is typed is this tab's alone until it is saved, and still there when the form is opened again
// (drafts.ts). The server says it back as a sentence, with
// what is wrong in it, whenever it has been left alone for a moment.
import { useEffect, useRef, useSyncExternalStore } from "react";
import { useLocation } from "react-router";
import { useAgain } from "./again.ts";
import { isPlain } from "./clicks.ts";
import { forget, keep, keptOf, leave, leftDraft } from "./drafts.ts";
import { carry } from "./notice.ts";
import { forgetOrigin, leadsBack, useWayBack } from "./origin.ts";
import { store } from "./store.ts";

type Condition = Record<string, string>;
type Scope = { kind: string; symbol: string; watchlist_id: string };
export interface Form {
  conditions: Condition[];
  scope: Scope;
  mode: string;
  cooldown_s: string;
  hold_s: string;
  urgent: boolean;
  name: string;
  note: string;
  channels: string[];
  ends: string;
  ends_ms: number;
}
// The server's answers; see flashcur/state/rules.py.
type Opened = {
  asked?: string;
  number?: number;
  form?: Form;
  rule?: string;
  version?: number;
  problem?: string;
  passes?: boolean;
};
type Present = { text: string; met: string };
type Checked = {
  number?: number;
  contradicts?: boolean;
  faults?: Record<string, string>;
  sentence?: string;
  link?: string;
  present?: Present[];
  at?: string;
};
type Saved = { number?: number; rule?: string; problem?: string; field?: string; link?: string; link_text?: string };
// `shown` is the state of the last answer, whose other members stay while the next one is worked out.
type Past = {
  number?: number;
  state?: string;
  shown?: string;
  percent?: number;
  suggestion?: { conditions?: Condition[] };
};
type Ask = (text: string) => void;

const PARAMETERS = ["rule", "symbol", "like", "stricter", "draft"];
const CHECK_AFTER_MS = 250;
// How often current values are asked for while the sheet is open.
const CHECK_EVERY_MS = 5000;
// The list of rules is asked for at most so often where alerts come one after another.
const LIST_EVERY_MS = 5000;
// A rule's past is looked at when it has been left alone for so long.
const LOOK_AFTER_MS = 700;
export const MOST_CONDITIONS = 5;

// What a condition of each kind begins with.
const FRESH: Record<string, Condition> = {
  price: { side: "above", price: "" },
  move: { way: "either", percent: "5", window_s: "900" },
  volume: { multiple: "3", floor: "5,000,000" },
  funding: { side: "above", percent: "0.05" },
  interest: { way: "up", percent: "10", window_s: "3600" },
  signal: { detector: "volume_spike", severity: "1", direction: "any", quadrant: "" },
};

const NOTHING = {};
const BLANK: Form = {
  conditions: [],
  scope: { kind: "symbol", symbol: "", watchlist_id: "" },
  mode: "repeat",
  cooldown_s: "3600",
  hold_s: "0",
  urgent: false,
  name: "",
  note: "",
  channels: [],
  ends: "",
  ends_ms: 0,
};
const EMPTY = {
  asked: "",
  rule: "",
  version: 0,
  form: null as Form | null,
  // What the server said that it begins with, and whether something else was kept.
  begun: null as Form | null,
  kept: false,
  touched: [] as string[],
  tried: false,
  saving: "",
  checked: {} as Checked,
  saved: {} as Saved,
};
const draft = store(EMPTY);

// What is asked for, in one order; empty where the sheet is closed.
export function wantedOf(search: string): string {
  const params = new URLSearchParams(search);
  // The ledger of messages has a filter of that name.
  if (params.get("tab") === "messages" || (!params.get("rule") && !params.get("draft"))) return "";
  return new URLSearchParams(
    PARAMETERS.flatMap((name) => {
      const value = params.get(name);
      return value ? [[name, value]] : [];
    }),
  ).toString();
}
// The rule that somebody shared, as the address holds it; empty where none is asked for.
export const sharedIn = (wanted: string) => new URLSearchParams(wanted).get("draft") ?? "";
const wantedNow = () => (globalThis.window ? wantedOf(window.location.search) : "");
const listeners = new Set<() => void>();
function notify() {
  for (const each of listeners) each();
}
globalThis.window?.addEventListener("popstate", notify);
const follow = (listener: () => void) => {
  listeners.add(listener);
  return () => void listeners.delete(listener);
};

export function useWantedRule(): string {
  // Links of the app change the address without telling anybody else.
  useLocation();
  return useSyncExternalStore(follow, wantedNow, () => "");
}

function addressOf(query: string): URL {
  const url = new URL(window.location.href);
  for (const name of PARAMETERS) url.searchParams.delete(name);
  for (const [name, value] of new URLSearchParams(query)) url.searchParams.set(name, value);
  return url;
}

export function openRule(query: string) {
  forgetOrigin();
  show(query);
}

function show(query: string) {
  if (wantedNow() === wantedOf(`?${query}`)) return;
  const within = wantedNow() !== "" && window.history.state?.sheet;
  const state = { ...window.history.state, sheet: true };
  if (within) window.history.replaceState(state, "", addressOf(query));
  else window.history.pushState(state, "", addressOf(query));
  notify();
}

// A link that opens the form: a plain click opens it here, any other where the browser is told to.
const following = (open: (query: string) => void) => (event: MouseEvent) => {
  if (!isPlain(event)) return;
  event.preventDefault();
  open(wantedOf(new URL((event.currentTarget as HTMLAnchorElement).href).search));
};
export const followRule = following(openRule);
// Back to the form that was left for another page: it still leads to where it was opened from.
export const followLeftRule = following(show);

const isShown = (query: string) => wantedOf(query) === wantedNow();
let wayBack: ReturnType<typeof useWayBack> = () => false;

// The sheet has been closed, by whatever means: the address says so, too.
export function closedRule() {
  if (!wantedNow() || wayBack(isShown)) return;
  if (window.history.state?.sheet) {
    window.history.back();
    return;
  }
  window.history.replaceState(window.history.state, "", addressOf(""));
  notify();
}

export const closeSheet = (event: { currentTarget: Element }) => event.currentTarget.closest("dialog")?.close();

// What a rule's past depends on.
const pastOf = ({ conditions, scope, mode, cooldown_s, hold_s }: Form) =>
  JSON.stringify([conditions, scope, mode, cooldown_s, hold_s]).replace(/(?<=\d),(?=\d{3})/g, "");
let looker: Ask = () => {};
let stopper: () => void = () => {};
let looking: ReturnType<typeof setTimeout> | undefined;
let lookedAt = "";
let lookNumber = 0;
let saveNumber = 0;
const past = store<Past>({});
const WORKING = ["working", "asking"];

function told(next: Past) {
  const goesOn = WORKING.includes(next.state ?? "");
  past.set(goesOn ? { ...past.get(), ...next } : { ...next, shown: next.state });
}
function look(asks: boolean) {
  clearTimeout(looking);
  const { form } = draft.get();
  if (!form) return;
  lookedAt = pastOf(form);
  const text = packed({ asks });
  lookNumber = number;
  told({ state: "working", percent: 0 });
  looker(text);
}
function lookSoon() {
  clearTimeout(looking);
  const { form } = draft.get();
  if (!form || pastOf(form) === lookedAt) return;
  looking = setTimeout(() => look(false), LOOK_AFTER_MS);
}
export const seePast = () => look(false);
export const askPast = () => look(true);
export function stopPast() {
  clearTimeout(looking);
  const { form } = draft.get();
  if (form) lookedAt = pastOf(form);
  told({ state: "cancelled" });
  lookNumber = 0;
  stopper();
}
export function takeSuggestion() {
  const conditions = past.get().suggestion?.conditions;
  if (conditions) change({ conditions });
}
// What is known of another form than this one is no answer to it.
export function statedOf(known: Past, isOfThis: boolean, hasPast: boolean): Past & { busy: boolean } {
  const state = isOfThis || !(known.state || hasPast) ? known.state : "working";
  const busy = WORKING.includes(state ?? "");
  return { ...known, state, percent: isOfThis ? known.percent : 0, busy };
}
export function usePreview() {
  const { form, checked } = draft.use();
  return statedOf(past.use(), form !== null && pastOf(form) === lookedAt, Boolean(checked.link));
}

let checker: Ask = () => {};
let keeper: Ask = () => {};
let number = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

// What is sent: the definition apart from what goes with it.
function packed(more: object = {}): string {
  const { form, rule, version } = draft.get();
  const { channels, ends, ends_ms = 0, ...definition } = form ?? ({} as Form);
  number += 1;
  return JSON.stringify({ number, rule, version, definition, channels, ends, ends_ms, ...more });
}

function checkSoon(afterMs = CHECK_AFTER_MS) {
  clearTimeout(timer);
  timer = setTimeout(() => draft.get().form && checker(packed()), afterMs);
}

function change(form: Partial<Form>, ...touched: string[]) {
  const now = draft.get();
  if (!now.form) return;
  const all = new Set([...now.touched, ...touched]);
  // What was refused may be right now.
  const next = { ...now, form: { ...now.form, ...form }, touched: [...all], saved: {} };
  draft.set(next);
  const { asked, rule, version } = next;
  if (JSON.stringify(next.form) === JSON.stringify(next.begun)) forget(asked);
  else keep({ asked, rule, version, form: next.form });
  checkSoon();
}

// What was kept is thrown away, once somebody says so.
export function beginAnew() {
  const now = draft.get();
  forget(now.asked);
  draft.set({ ...now, form: now.begun, kept: false, touched: [], tried: false, saved: {} });
  checkSoon(0);
  focusFirst();
}

// Another page, such as that of the channels, leads back to this form.
export const leaveRule = () => leave(draft.get().asked);
export const useLeftRule = () => useSyncExternalStore(follow, leftDraft, () => "");

// One field by its name, such as `name`, `scope.symbol` or `conditions.0.price`.
export function setRule(path: string, value: string | boolean) {
  const { form } = draft.get();
  if (!form) return;
  const [first, second, third] = path.split(".");
  if (first === "conditions") {
    const at = Number(second);
    const conditions = form.conditions.map((each, i) => {
      if (i !== at) return each;
      return third === "kind" ? { kind: String(value), ...FRESH[String(value)] } : { ...each, [third]: String(value) };
    });
    change({ conditions }, path);
  } else if (first === "scope") change({ scope: { ...form.scope, [second]: String(value) } }, path);
  else change({ [first]: value } as Partial<Form>, path);
}

// A number in plain digits as it is read: `5,000,000`; anything else stays as it was typed.
export function grouped(text: string): string {
  const whole = /^\s*(\d{4,})(\.\d*)?\s*$/.exec(text);
  return whole ? whole[1].replace(/\B(?=(\d{3})+$)/g, ",") + (whole[2] ?? "") : text;
}

// A field that was left shows what is wrong in it, and a large number in groups.
export function leftField(path: string) {
  const [first, at, name] = path.split(".");
  const typed = first === "conditions" ? draft.get().form?.conditions[Number(at)]?.[name] : undefined;
  if (typed && ["price", "floor"].includes(name) && grouped(typed) !== typed) setRule(path, grouped(typed));
  const now = draft.get();
  if (!now.touched.includes(path)) draft.set({ ...now, touched: [...now.touched, path] });
}

export function toggleChannel(channel: string) {
  const { form } = draft.get();
  if (!form) return;
  const chosen = new Set(form.channels);
  if (!chosen.delete(channel)) chosen.add(channel);
  change({ channels: [...chosen] }, "channels");
}

export function addCondition() {
  const { form } = draft.get();
  if (!form || form.conditions.length >= MOST_CONDITIONS) return;
  const used = new Set(form.conditions.map((each) => each.kind));
  const kind = ["price", "move", "volume", "funding", "interest", "signal"].find((each) => !used.has(each)) ?? "move";
  change({ conditions: [...form.conditions, { kind, ...FRESH[kind] }] });
  // React draws it first.
  requestAnimationFrame(() =>
    document.querySelector<HTMLElement>(`.rule-form [data-condition="${form.conditions.length}"] select`)?.focus(),
  );
}

export function dropCondition(at: number) {
  const now = draft.get();
  if (!now.form || now.form.conditions.length < 2) return;
  // Names of fields behind it are another's now.
  const touched = now.touched.filter((path) => !path.startsWith("conditions."));
  draft.set({ ...now, touched });
  change({ conditions: now.form.conditions.filter((_, i) => i !== at) });
}

export function saveRule(how = "") {
  const now = draft.get();
  if (now.saving || !now.form) return;
  draft.set({ ...now, tried: true, saving: how || "save" });
  clearTimeout(timer);
  const text = packed({ paused: how === "paused", test: how === "test" });
  // Other questions, with numbers of their own, may be asked before it is answered.
  saveNumber = number;
  keeper(text);
}

export function submitRule(event: { preventDefault(): void }, how: string) {
  event.preventDefault();
  saveRule(how);
}

const UNITS: [number, string][] = [
  [86_400, "day"],
  [3600, "hour"],
  [60, "minute"],
  [1, "second"],
];
// `90 seconds`, `1 hour`: in the largest unit that it is a whole number of.
export function spanOf(seconds: number): string {
  const [size, unit] = UNITS.find(([each]) => seconds >= each && seconds % each === 0) ?? [1, "second"];
  const count = seconds / size;
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
// Choices of a length of time, with the one that is set, wherever that came from.
export function spansOf(offered: number[], set: string, none: string): { value: string; title: string }[] {
  const all = new Set(offered);
  if (/^[0-9]{1,7}$/.test(set)) all.add(Number(set));
  return [...all]
    .sort((a, b) => a - b)
    .map((each) => ({ value: String(each), title: each || !none ? spanOf(each) : none }));
}

// What is wrong, for the fields that were touched; all of it once somebody has tried to save.
export function faultsOf(faults: Record<string, string>, touched: string[], tried: boolean): Record<string, string> {
  const near = (path: string) => touched.some((each) => each === path || each.startsWith(`${path}.`));
  const shown = Object.entries(faults).filter(([path]) => tried || near(path));
  return Object.fromEntries(shown);
}

// What is wrong, or else where writing begins; React draws it first.
function focusFirst() {
  requestAnimationFrame(() => {
    const fields = document.querySelector(".rule-form");
    const found = ['[aria-invalid="true"]', ":is(input, select, textarea).input"].map((each) =>
      fields?.querySelector<HTMLElement>(each),
    );
    found.find((each) => each)?.focus();
  });
}

// Nothing of the form stays but what is kept of it (drafts.ts).
function closeForm() {
  clearTimeout(timer);
  clearTimeout(looking);
  if (lookNumber) stopper();
  lookNumber = 0;
  lookedAt = "";
  past.set({});
  draft.set(EMPTY);
}

// Opens and closes the sheet as the address says, asks the server for what it begins with, and takes its answers. One
// component of the page calls it. `signed`: there is an account; `plan`: what it has, which decides what may be chosen.
export function useRuleSheet(
  reached: boolean,
  signed: boolean,
  plan: string,
  alive: boolean,
  opened: Opened,
  checked: Checked,
  saved: Saved,
  found: Past,
  open: Ask,
  check: Ask,
  save: Ask,
  preview: Ask,
  cancel: () => void,
  showShared: Ask,
) {
  const ref = useRef<HTMLDialogElement>(null);
  const asked = useRef("");
  const taken = useRef(0);
  checker = check;
  keeper = save;
  looker = preview;
  stopper = cancel;
  wayBack = useWayBack();
  const wanted = useWantedRule();
  useEffect(() => {
    const question = `${wanted} ${plan}`;
    if (!reached || !signed || !wanted || asked.current === question) return;
    asked.current = question;
    open(wanted);
  }, [reached, signed, wanted, plan, open]);
  // Who has no account sees what was shared all the same.
  useEffect(() => {
    const link = sharedIn(wanted);
    if (!reached || signed || !link || asked.current === wanted) return;
    asked.current = wanted;
    showShared(link);
  }, [reached, signed, wanted, showShared]);
  useEffect(() => {
    if (wanted) return;
    asked.current = "";
    closeForm();
  }, [wanted]);
  // The page itself may be left with it.
  useEffect(() => closeForm, []);
  useEffect(() => {
    if (!opened.number || opened.number === taken.current || opened.asked !== wanted || !opened.form) return;
    taken.current = opened.number;
    // What is being written stays when it was only told anew, as after a change of the plan.
    if (draft.get().asked === wanted && draft.get().form) return;
    const { form, rule = "", version = 0 } = opened;
    const found = keptOf(wanted);
    // One of a rule that was changed meanwhile would be refused.
    const kept = found?.rule === rule && found.version === version ? (found.form as Form) : null;
    if (found && !kept) forget(wanted);
    if (leftDraft() === wanted) leave("");
    draft.set({ ...EMPTY, asked: wanted, rule, version, form: kept ?? form, begun: form, kept: kept !== null });
    notify();
    checkSoon(0);
    focusFirst();
  }, [opened, wanted]);
  useAgain(Boolean(opened.passes) && wanted !== "" && opened.asked === wanted, alive, () => open(wanted));
  useEffect(() => {
    if (!draft.get().form || !checked.number) return;
    draft.set({ ...draft.get(), checked });
    // It is said back with a gap while something is wrong; then there is no past of it.
    if (checked.link) lookSoon();
  }, [checked]);
  useEffect(() => {
    if (found.state && (!found.number || found.number === lookNumber)) told(found);
  }, [found]);
  useEffect(() => {
    const now = draft.get();
    if (!now.saving || saved.number !== saveNumber) return;
    draft.set({ ...now, saving: "", saved });
    if (saved.rule) {
      forget(now.asked);
      // What is said of it is said where it leads back to.
      if (leadsBack(isShown)) carry();
      ref.current?.close();
    } else focusFirst();
  }, [saved]);
  useEffect(() => {
    if (!wanted) return undefined;
    const again = setInterval(() => document.hidden || draft.get().saving || checkSoon(0), CHECK_EVERY_MS);
    return () => clearInterval(again);
  }, [wanted]);
  useEffect(() => {
    const dialog = ref.current;
    if (!dialog) return;
    if (wanted && !dialog.open) {
      dialog.showModal();
      dialog.scrollTop = 0;
    }
    if (!wanted && dialog.open) dialog.close();
  }, [wanted]);
  return ref;
}

// What the form shows, for whichever of its parts.
export function useDraft() {
  const { form, kept, rule, saving, touched, tried, checked, saved } = draft.use();
  const { problem = "", field = "" } = saved;
  const refused: Record<string, string> = field && field !== "room" ? { [field]: problem } : NOTHING;
  const all = { ...checked.faults, ...refused };
  const faults = faultsOf(all, touched, tried || checked.contradicts === true || refused !== NOTHING);
  return {
    form: form ?? BLANK,
    there: form !== null,
    kept,
    rule,
    saving,
    faults,
    marked: Object.keys(faults).length > 0,
    whole: Object.keys(checked.faults ?? NOTHING).length === 0,
    // A condition says what is wrong in it where it stands.
    problem: field.startsWith("conditions.") ? "Fix the marked fields first." : problem,
    link: saved.link ?? "",
    link_text: saved.link_text ?? "",
    room: field === "room",
    sentence: checked.sentence ?? "",
    shared: checked.link ?? "",
    present: checked.present ?? [],
    at: checked.at ?? "",
  };
}

// Asks for the list: at first, whenever the account or what it shows has changed (`stamp`), and when an alert has come:
// its rule has fired once more. `newest`: the id of the newest alert, `none` without one, empty until it is known.
export function useRules(
  signed: boolean,
  stamp: string,
  newest: string,
  problem: boolean,
  alive: boolean,
  show: () => void,
) {
  const asked = useRef("");
  const asking = useRef(show);
  asking.current = show;
  const heard = useRef("");
  const due = useRef<ReturnType<typeof setTimeout>>(undefined);
  const shownAt = useRef(Number.NEGATIVE_INFINITY);
  useEffect(() => {
    const before = heard.current;
    heard.current = newest || before;
    if (!before || !newest || before === newest || due.current) return;
    // Where many come, one answer tells them all.
    const wait = Math.max(0, shownAt.current + LIST_EVERY_MS - performance.now());
    due.current = setTimeout(() => {
      due.current = undefined;
      shownAt.current = performance.now();
      asking.current();
    }, wait);
  }, [newest]);
  useEffect(
    () => () => {
      clearTimeout(due.current);
      due.current = undefined;
    },
    [],
  );
  useEffect(() => {
    if (!signed || !stamp || asked.current === stamp) return;
    asked.current = stamp;
    show();
  }, [signed, stamp, show]);
  useAgain(problem, alive, show);
}
