// Where the HTTP routes are: on the page's own port (or port 0, which stands for it), or on another of the same host.
export function backendOrigin(port) {
  // The pages are rendered once without a browser, when they are built.
  if (typeof window === "undefined") return "";
  const { protocol, hostname, port: own } = window.location;
  const here = Number(own || (protocol === "https:" ? 443 : 80));
  return !Number(port) || Number(port) === here ? "" : `${protocol}//${hostname}:${port}`;
}
