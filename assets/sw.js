// Web push, and nothing else: no page goes through this worker and nothing is kept here, as a stale page is worse than
// none. Plain JavaScript, because the browser runs this very file.

// Where the routes are; in development on another port of the same host.
function routes() {
  const asked = new URL(self.location.href).searchParams.get("routes");
  const origin = URL.canParse(asked ?? "") ? new URL(asked) : self.location;
  return origin.hostname === self.location.hostname ? origin.origin : self.location.origin;
}

const text = (value) => (typeof value === "string" ? value : "");

// A browser takes the permission away from who is woken up and shows nothing.
self.addEventListener("push", (event) => {
  let told = {};
  try {
    told = event.data?.json() ?? {};
  } catch {
    // Not ours: something is shown all the same.
  }
  const shown = self.registration.showNotification(text(told.title) || "FlashCur", {
    body: text(told.body),
    // The same message, sent again, takes its own place.
    tag: text(told.tag) || "flashcur",
    icon: "/favicon.svg",
    data: { url: text(told.url) },
  });
  event.waitUntil(shown);
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const target = new URL(text(event.notification.data?.url) || "/alerts", self.location.origin);
  const url = target.origin === self.location.origin ? target.href : `${self.location.origin}/alerts`;
  const open = async () => {
    const tabs = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
    const there = tabs.find((tab) => tab.url === url);
    return there ? there.focus() : self.clients.openWindow(url);
  };
  event.waitUntil(open());
});

// The push service gave this browser another address.
self.addEventListener("pushsubscriptionchange", (event) => {
  const renew = async () => {
    const former = event.oldSubscription;
    const key = former?.options.applicationServerKey;
    const subscribed = event.newSubscription ?? (await self.registration.pushManager.getSubscription());
    const fresh =
      subscribed ??
      (key && (await self.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key })));
    if (!fresh) return;
    await fetch(`${routes()}/api/v1/push`, {
      method: "POST",
      credentials: "include",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...fresh.toJSON(), former: former?.endpoint ?? "" }),
    });
  };
  event.waitUntil(renew());
});
