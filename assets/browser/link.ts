// The page's one connection, made anew once nothing has come over it for too long. Engine.IO by itself takes up to two
// and a half minutes to notice that a connection died without a word, and 20 s for one that does not open. The server
// says something each second, or every two where it has nothing to tell (flashcur/state/wire/broadcast.py).
//
// Imported by the app's root, so it is here before Reflex connects. What it assumes of Reflex 0.10 and Socket.IO 4 is
// tested in tests/pages/test_connection.py.
import { Socket } from "socket.io-client";

const OPENING_MS = 5000;
const SILENT_MS = 5000;
// What a slow line may take for a whole table.
const SLOW_MS = 10_000;
// The network was away and is back: what came over the connection just now came before.
const BACK_MS = 2000;

const EVENT = 2;

// `reconnect` and `wait_connect` are Reflex's (utils/state.js): it does not begin while an attempt of its own runs.
type PageSocket = Socket & { reconnect?(): void; wait_connect?: boolean };

let socket: PageSocket | null = null;
// When something came over it, or it began; by `performance.now()`, as all times here.
let heard = 0;
// How long nothing may come.
let patience = OPENING_MS;
// The longest time between two of its messages.
let pause = 0;
let told = false;
let timer: ReturnType<typeof setTimeout> | undefined;

function begin(beginning: PageSocket) {
  if (socket !== beginning) {
    socket = beginning;
    const { io } = beginning;
    io.on("open", () => socket === beginning && hear());
    io.on("ping", () => socket === beginning && hear());
    io.on("packet", ({ type }) => socket === beginning && hear(type));
  }
  heard = performance.now();
  patience = OPENING_MS;
  pause = 0;
  told = false;
  watch();
}

function hear(type?: number) {
  const now = performance.now();
  pause = Math.max(pause, now - heard);
  heard = now;
  told ||= type === EVENT;
  // Over a slow line a message takes its time, and so may the next.
  patience = told ? Math.min(Math.max(2 * pause, SILENT_MS), SLOW_MS) : SLOW_MS;
  watch();
}

// A hidden tab, whose timers hardly run, is left alone until it is seen.
function watch() {
  clearTimeout(timer);
  if (!socket || document.hidden) return;
  const left = heard + patience - performance.now();
  if (left > 0) timer = setTimeout(watch, left);
  else renew();
}

function renew() {
  if (!socket?.reconnect) return;
  socket.disconnect();
  socket.wait_connect = false;
  socket.reconnect();
}

if (typeof window !== "undefined") {
  const { connect } = Socket.prototype;
  Socket.prototype.connect = function (this: PageSocket) {
    begin(this);
    return connect.call(this);
  };
  document.addEventListener("visibilitychange", watch);
  window.addEventListener("pageshow", watch);
  window.addEventListener("online", () => performance.now() - heard > BACK_MS && renew());
}
