// A Socket.IO room that gets one frame a second: node node_room.mjs PORT FRAMES.json plain|deflate
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { Server } from "socket.io";

const [port, path, mode] = process.argv.slice(2);
const frames = JSON.parse(readFileSync(path));
const http = createServer();
const io = new Server(http, {
  transports: ["websocket"],
  serveClient: false,
  // Without takeover, so that the client need not keep a window for each socket.
  perMessageDeflate: mode === "deflate" && { threshold: 1024, serverNoContextTakeover: true },
});
io.on("connection", (socket) => socket.join("elite"));

const feed = Object.keys(frames[0].delta).find((name) => name.endsWith("feed_state"));
let next = 0;
function publish() {
  const frame = frames[next++ % frames.length];
  frame.delta[feed].as_of_rx_state_ = Date.now();
  io.to("elite").emit("event", frame);
  setTimeout(publish, 1000 - (Date.now() % 1000));
}
http.listen(Number(port), "127.0.0.1", () => setTimeout(publish, 1000 - (Date.now() % 1000)));
