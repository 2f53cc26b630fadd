import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";

// The worker, as a browser runs it: what it listens to, and what it does then.
function worker(href = "https://flashcur.test/sw.js") {
  const listeners = new Map<string, (event: object) => void>();
  const done: unknown[] = [];
  const self = {
    location: new URL(href),
    addEventListener: (name: string, listener: (event: object) => void) => listeners.set(name, listener),
    registration: {
      showNotification: async (title: string, options: object) => done.push({ title, ...options }),
      pushManager: {
        getSubscription: async () => null,
        subscribe: async (options: object) => {
          done.push(options);
          return { toJSON: () => ({ endpoint: "https://push.test/new", keys: {} }) };
        },
      },
    },
    clients: {
      matchAll: async () => [{ url: "https://flashcur.test/alerts?alert=1", focus: async () => done.push("focused") }],
      openWindow: async (url: string) => done.push(url),
    },
  };
  const fetch = async (url: string, options: { body: string }) => done.push({ url, body: JSON.parse(options.body) });
  vm.runInNewContext(readFileSync("assets/sw.js", "utf8"), { self, URL, fetch });
  const fire = async (name: string, event: object) => {
    let work: unknown;
    const waitUntil = (promise: unknown) => {
      work = promise;
    };
    listeners.get(name)?.({ ...event, waitUntil });
    await work;
    // Objects of another realm are alike, and not equal.
    return JSON.parse(JSON.stringify(done));
  };
  return { fire, names: [...listeners.keys()] };
}

test("the worker listens to pushes and nothing else", () => {
  assert.deepEqual(worker().names.sort(), ["notificationclick", "push", "pushsubscriptionchange"]);
});

test("a click leads to a page of this site and to no other", async () => {
  const click = async (url: unknown) => {
    const closed: string[] = [];
    const notification = { close: () => closed.push("closed"), data: { url } };
    const done = await worker().fire("notificationclick", { notification });
    assert.deepEqual(closed, ["closed"]);
    return done;
  };
  assert.deepEqual(await click("/alerts?alert=2"), ["https://flashcur.test/alerts?alert=2"]);
  assert.deepEqual(await click("/alerts?alert=1"), ["focused"]);
  for (const foreign of ["https://evil.test/", "//evil.test/a", "javascript:alert(1)"])
    assert.deepEqual(await click(foreign), ["https://flashcur.test/alerts"]);
  for (const none of ["", undefined, 5]) assert.deepEqual(await click(none), ["https://flashcur.test/alerts"]);
});

test("a push is shown whatever is in it", async () => {
  const [shown] = await worker().fire("push", {
    data: { json: () => ({ title: "BTC", body: "up", tag: "t", url: "/a" }) },
  });
  assert.deepEqual(shown, { title: "BTC", body: "up", tag: "t", icon: "/favicon.svg", data: { url: "/a" } });
  const broken = () => {
    throw new SyntaxError("no JSON");
  };
  for (const data of [null, { json: broken }, { json: () => null }])
    assert.equal((await worker().fire("push", { data }))[0].title, "FlashCur");
});

test("a new address of the push service is told to the server, at its own routes", async () => {
  const oldSubscription = { endpoint: "https://push.test/old", options: { applicationServerKey: "key" } };
  const change = (href?: string) => worker(href).fire("pushsubscriptionchange", { oldSubscription });
  const [options, asked] = await change();
  assert.deepEqual(options, { userVisibleOnly: true, applicationServerKey: "key" });
  const body = { endpoint: "https://push.test/new", keys: {}, former: "https://push.test/old" };
  assert.deepEqual(asked, { url: "https://flashcur.test/api/v1/push", body });
  const other = (await change("https://flashcur.test/sw.js?routes=https://flashcur.test:8000"))[1];
  assert.equal(other.url, "https://flashcur.test:8000/api/v1/push");
  const foreign = (await change("https://flashcur.test/sw.js?routes=https://evil.test"))[1];
  assert.equal(foreign.url, "https://flashcur.test/api/v1/push");
});

// A page of this site in a browser that has web push, and a server that answers.
const posted: { url: string; body: Record<string, unknown> }[] = [];
let answer: { status: number; body: object } = { status: 200, body: { ok: true } };
let subscribed: { endpoint: string } | null = null;
let failure: Error | null = null;
const made = {
  endpoint: "https://push.test/1",
  toJSON: () => ({ endpoint: "https://push.test/1", keys: { p256dh: "p", auth: "a" } }),
  unsubscribe: async () => {
    subscribed = null;
    return true;
  },
};
const registration = {
  pushManager: {
    getSubscription: async () => subscribed,
    subscribe: async (options: { applicationServerKey: Uint8Array }) => {
      if (failure) throw failure;
      assert.deepEqual([...options.applicationServerKey], [4, 255, 254]);
      subscribed = made;
      return made;
    },
  },
};
const Notification = { permission: "default", requestPermission: async () => Notification.permission };
const globals = {
  Notification,
  PushManager: class {},
  location: new URL("https://flashcur.test/account"),
  document: { cookie: "", addEventListener() {}, removeEventListener() {} },
  navigator: {
    userAgent: "test",
    serviceWorker: {
      register: async () => registration,
      getRegistration: async () => registration,
      ready: Promise.resolve(registration),
    },
  },
  fetch: async (url: string, options: { method?: string; body?: string }) => {
    if (options.method !== "POST") return Response.json({ ok: true, key: "BP_-" });
    posted.push({ url, body: JSON.parse(options.body ?? "{}") });
    return Response.json(answer.body, { status: answer.status });
  },
};
for (const [name, value] of Object.entries({ window: globalThis, ...globals }))
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
const push = await import("../../assets/browser/push.ts");

test("web push is on once the server knows of it, and off in both places", async () => {
  Notification.permission = "granted";
  await push.turnPushOn(0);
  assert.deepEqual(posted.pop(), { url: "/api/v1/push", body: made.toJSON() });
  assert.equal(subscribed, made);
  await push.turnPushOff(0);
  assert.deepEqual(posted.pop(), { url: "/api/v1/push/off", body: { endpoint: made.endpoint } });
  assert.equal(subscribed, null);
});

test("what the server refuses, or somebody does not allow, stays off", async () => {
  answer = { status: 403, body: { error: "Web push comes with Pro." } };
  await push.turnPushOn(0);
  assert.equal(subscribed, null);
  assert.equal(push.pushState().problem, "Web push comes with Pro.");
  answer = { status: 200, body: { ok: true } };
  Notification.permission = "denied";
  await push.turnPushOn(0);
  assert.match(push.pushState().problem, /blocks notifications/);
  Notification.permission = "granted";
  failure = new DOMException("no service", "AbortError");
  await push.turnPushOn(0);
  assert.match(push.pushState().problem, /push service refused/);
  failure = new DOMException("another key", "InvalidStateError");
  await push.turnPushOn(0);
  assert.match(push.pushState().problem, /old connection/);
  failure = null;
  assert.deepEqual(posted.splice(0).length, 1);
});

test("who signs out takes the browser along, also where the server does not answer", async () => {
  subscribed = made;
  await push.leavePush(0);
  assert.deepEqual(posted.pop()?.url, "/api/v1/push/off");
  assert.equal(subscribed, null);
  await push.leavePush(0);
  assert.equal(posted.length, 0);
});
