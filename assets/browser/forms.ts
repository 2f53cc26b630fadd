// Forms that are posted to a route: those that put a session into the browser or take it out, and those with a file.
import { type Answer, backendOrigin, post } from "./server.ts";
import { go } from "./session.ts";
import { type Store, store } from "./store.ts";

// `asked` is a field that is needed only after the server asked for it; it stays from then on. `answer` is the last one.
const FORM = { busy: false, error: "", field: "", asked: "", answer: {} as Partial<Answer> };
const forms = new Map<string, Store<typeof FORM>>();

function formOf(name: string): Store<typeof FORM> {
  const form = forms.get(name) ?? store(FORM, (own) => own.set(FORM));
  forms.set(name, form);
  return form;
}

export const useForm = (name: string) => formOf(name).use();

// What the answer said is over.
export const again = (name: string) => formOf(name).get().busy || formOf(name).set(FORM);

// Refused: what is wrong is shown and what was typed stays. Done: the page shows what the answer says, or the browser
// goes where it leads.
export async function submitTo(event: React.FormEvent<HTMLFormElement>, name: string, path: string, port: number) {
  event.preventDefault();
  const form = event.currentTarget;
  const state = formOf(name);
  const { busy, asked } = state.get();
  if (busy) return;
  state.set({ ...FORM, asked, busy: true });
  const fields = new FormData(form);
  const files = form.enctype === "multipart/form-data";
  const answer = await post(`${backendOrigin(port)}${path}`, files ? fields : Object.fromEntries(fields));
  let control: unknown;
  if (!answer.ok) {
    control = answer.field && form.elements.namedItem(answer.field);
    const field = control instanceof HTMLInputElement && control.type !== "hidden" ? answer.field : "";
    state.set({ busy: false, error: answer.error, field, asked: field || asked, answer });
  } else if (answer.sent) {
    state.set({ ...FORM, answer });
    if (files) form.reset();
  } else return go(answer.next);
  // After it is drawn: what is hidden cannot have the focus, and who listens to the page hears what became of the form.
  setTimeout(() => {
    if (answer.ok) control = document.getElementById(`${name}-sent`);
    if (control instanceof HTMLElement) control.focus();
  });
}

// Back from where a form led to, the browser shows the page as it was left: busy.
globalThis.window?.addEventListener("pageshow", ({ persisted }) => {
  if (persisted) for (const form of forms.values()) form.set(FORM);
});
