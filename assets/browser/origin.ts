// The form of a rule that another page of the app opened leads back there once it is closed, however it is closed.
import { useEffect } from "react";
import { useNavigate } from "react-router";
import { isPlain } from "./clicks.ts";

const ELSEWHERE = { elsewhere: true };

// How far the table was scrolled where it was left, and which entry of the history that was.
let left = { entry: "", top: 0 };
const entry = () => `${window.history.state?.idx} ${window.location.pathname}`;
const scroller = () => document.querySelector(".scroller");

// Goes to the form at `path`, and remembers with it that it was opened from this page.
export function useForm(): (path: string) => void {
  const go = useNavigate();
  return (path) => {
    left = { entry: entry(), top: scroller()?.scrollTop ?? 0 };
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

// Whether what is shown was opened from another page: the history's entry says so, also after a reload.
export const cameFromElsewhere = () => window.history.state?.usr?.elsewhere === true;
