// What the modules use of Reflex's own.
declare module "$/utils/context" {
  import type { Context } from "react";
  export const ColorModeContext: Context<{ rawColorMode: string; setColorMode(mode: string): void }>;
}

// Of Socket.IO's client, which comes with Reflex.
declare module "socket.io-client" {
  interface Manager {
    on(event: "open" | "ping", act: () => void): this;
    on(event: "packet", act: (packet: { type: number }) => void): this;
  }
  export class Socket {
    readonly io: Manager;
    connect(): this;
    disconnect(): this;
  }
}
