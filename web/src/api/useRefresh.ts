import { useEffect, useEffectEvent } from "react";

/** Calls `refresh` every `everyMs` while the tab is visible, and as soon as it comes to the front. */
export function useRefresh(refresh: () => void, everyMs: number): void {
  const whenVisible = useEffectEvent(() => {
    if (document.visibilityState === "visible") refresh();
  });
  useEffect(() => {
    const timer = setInterval(whenVisible, everyMs);
    document.addEventListener("visibilitychange", whenVisible);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", whenVisible);
    };
  }, [everyMs]);
}
