// What the account and the device agree about.
import { useContext, useEffect } from "react";
import { ColorModeContext } from "$/utils/context";

// The account's theme counts on every device.
export function useAccountTheme(theme: string) {
  const { setColorMode } = useContext(ColorModeContext);
  useEffect(() => {
    if (theme) setColorMode(theme);
  }, [theme, setColorMode]);
}
export const deviceZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
