// Texts into the clipboard, within a click. `not` is said where the browser does not allow it.
import { say } from "./notice.ts";
import { type Answer, ask } from "./server.ts";

function copyByHand(text: string) {
  const area = document.createElement("textarea");
  area.value = text;
  area.style.cssText = "position:fixed;opacity:0";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("not copied");
}

async function write(text: Promise<string>) {
  if (!navigator.clipboard) return copyByHand(await text);
  try {
    // Begun within the click, before the text is here: Safari asks for that.
    const blob = text.then((all) => new Blob([all], { type: "text/plain" }));
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
  } catch {
    // What a browser refuses by the one way it may allow by another.
    const all = await text;
    await navigator.clipboard.writeText(all).catch(() => copyByHand(all));
  }
}

// `link`: where what could not be copied stands, in the address itself.
export const copyPlain = (text: string, done: string, not: string, link = "") =>
  write(Promise.resolve(text)).then(
    () => say({ text: done }),
    () => say({ text: not, bad: true, link, link_text: link && "Open it" }),
  );

// A file of the server, which says itself what it is or why there is none.
export async function copyFile(url: string, not: string) {
  let answer: Answer | undefined;
  const text = ask(url).then((got) => {
    answer = got;
    return got.ok ? String(got.text) : Promise.reject(new Error(got.error));
  });
  await write(text).then(
    () => say({ text: answer?.said }),
    () => say({ ...(answer?.ok === false ? answer : null), text: answer?.error || not, bad: true }),
  );
}
