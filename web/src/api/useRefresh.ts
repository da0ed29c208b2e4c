import { useEffect, useEffectEvent } from "react";
import { reads } from "./client.ts";

/**
 * Calls `refresh` every `everyMs` while the tab is visible, and as soon as it comes to the front.
 *
 * While the service refuses reads, it waits as long as that was told to, and then goes on at once.
 */
export function useRefresh(refresh: () => void, everyMs: number): void {
  const whenVisible = useEffectEvent(() => {
    if (document.visibilityState === "visible" && reads.waitMs() === 0) refresh();
  });
  useEffect(() => {
    const timer = setInterval(whenVisible, everyMs);
    let afterRefusal: ReturnType<typeof setTimeout> | undefined;
    const awaitEnd = () => {
      clearTimeout(afterRefusal);
      const ms = reads.waitMs();
      if (ms === 0) return;
      afterRefusal = setTimeout(() => {
        if (reads.waitMs() === 0) whenVisible();
        else awaitEnd();
      }, ms);
    };
    const leave = reads.subscribe(awaitEnd);
    awaitEnd();
    document.addEventListener("visibilitychange", whenVisible);
    return () => {
      clearInterval(timer);
      clearTimeout(afterRefusal);
      leave();
      document.removeEventListener("visibilitychange", whenVisible);
    };
  }, [everyMs]);
}
