// What was typed into the form of a rule and is not saved yet: this tab keeps it under what the form was opened with,
// until it is saved, begun anew, or another session's.
const KEPT = "flashcur_drafts";
const MOST = 8;

export interface Kept {
  asked: string;
  rule: string;
  version: number;
  form: unknown;
}
// `left`: what the form was opened with that was left for another page, which leads back to it.
type All = { session: string; left: string; drafts: Kept[] };

// A cookie that changes with the session; see session.ts.
const session = () => /(?:^|;\s*)flashcur_mark=([^;]*)/.exec(globalThis.document?.cookie ?? "")?.[1] ?? "";

function read(): All {
  const none = { session: session(), left: "", drafts: [] };
  try {
    const all = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
    return all?.session === none.session && Array.isArray(all.drafts) ? all : none;
  } catch {
    return none;
  }
}

function write(all: All) {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(all));
  } catch {
    // No storage: it is gone with the page.
  }
}

export const keptOf = (asked: string) => read().drafts.find((each) => each.asked === asked);
export const leftDraft = () => read().left;

export function keep(draft: Kept) {
  const all = read();
  write({ ...all, drafts: [draft, ...all.drafts.filter(({ asked }) => asked !== draft.asked)].slice(0, MOST) });
}

export function forget(asked: string) {
  const all = read();
  const left = all.left === asked ? "" : all.left;
  write({ ...all, left, drafts: all.drafts.filter((each) => each.asked !== asked) });
}

export const leave = (asked: string) => write({ ...read(), left: asked });
