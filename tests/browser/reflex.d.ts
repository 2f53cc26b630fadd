// What the modules use of Reflex's own.
declare module "$/utils/context" {
  import type { Context } from "react";
  export const ColorModeContext: Context<{ rawColorMode: string; setColorMode(mode: string): void }>;
}
