// The form of a rule that another page of the app opened leads back there once it is closed, however it is closed, and
// whatever page was between: this tab remembers it where the history no longer does.
import { useEffect } from "react";
import { useNavigate } from "react-router";
import { isPlain } from "./clicks.ts";

const ELSEWHERE = { elsewhere: true };
const KEPT = "flashcur_origin";

// Where a form was opened from: the query that it was opened with, the page, and how far its table was scrolled.
interface Origin {
  form: string;
  page: string;
  top: number;
}

// How far the table was scrolled where it was left, and which entry of the history that was.
let left = { entry: "", top: 0 };
const entry = (pathname = window.location.pathname) => `${window.history.state?.idx} ${pathname}`;
const scroller = () => document.querySelector(".scroller");

function keep(origin: Origin | null) {
  try {
    if (origin) sessionStorage.setItem(KEPT, JSON.stringify(origin));
    else sessionStorage.removeItem(KEPT);
  } catch {
    // No storage: the history alone knows.
  }
}
function kept(): Origin | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  } catch {
    return null;
  }
}

// A form that is opened where it stands leads nowhere else, whatever was opened before and left by the history.
export const forgetOrigin = () => keep(null);

// Whoever goes back to that page by the history is there already.
globalThis.window?.addEventListener("popstate", () => {
  const { pathname, search } = window.location;
  if (kept()?.page === pathname + search) forgetOrigin();
});

// Goes to the form at `path`, and remembers with it that it was opened from this page.
export function useForm(): (path: string) => void {
  const go = useNavigate();
  return (path) => {
    const { pathname, search } = window.location;
    const top = scroller()?.scrollTop ?? 0;
    left = { entry: entry(), top };
    keep({ form: path.slice(path.indexOf("?")), page: pathname + search, top });
    go(path, { state: ELSEWHERE });
  };
}

// Back where it was left the table is scrolled as it was, once its rows are `there`.
export function useScrolledBack(there: boolean) {
  useEffect(() => {
    if (!there || left.entry !== entry()) return;
    scroller()?.scrollTo({ top: left.top, behavior: "instant" });
    left = { entry: "", top: 0 };
  }, [there]);
}

// A link to the form: a plain click opens it within the app, any other where the browser is told to.
export function useFormLink(): (event: MouseEvent) => void {
  const open = useForm();
  return (event) => {
    if (!isPlain(event)) return;
    event.preventDefault();
    const { pathname, search } = new URL((event.currentTarget as HTMLAnchorElement).href);
    open(pathname + search);
  };
}

// Whether the history's entry says that what is shown was opened from another page, as it does also after a reload.
const cameFromElsewhere = () => window.history.state?.usr?.elsewhere === true;

// The page that a form leads back to, where another one came between; `isForm` says whether a query opens it.
const originOf = (isForm: (query: string) => boolean) => {
  const origin = kept();
  return origin && isForm(origin.form) ? origin : null;
};

export const leadsBack = (isForm: (query: string) => boolean) => cameFromElsewhere() || originOf(isForm) !== null;

// Leads back from the form that `isForm` knows by its query; the answer is whether there was another page to lead to.
export function useWayBack(): (isForm: (query: string) => boolean) => boolean {
  const go = useNavigate();
  return (isForm) => {
    const origin = originOf(isForm);
    if (!cameFromElsewhere() && !origin) return false;
    forgetOrigin();
    if (cameFromElsewhere() || !origin) window.history.back();
    else {
      left = { entry: entry(origin.page.split("?")[0]), top: origin.top };
      go(origin.page, { replace: true });
    }
    return true;
  };
}
