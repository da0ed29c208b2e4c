import { useEffect, useRef } from "react";

/**
 * Puts the focus on the heading of a view that replaced another one, so that keyboards and screen readers go on there.
 *
 * @param view names what is shown; the first one keeps the browser's own focus.
 */
export function useFocusOnArrival(view: string): void {
  const shown = useRef(view);
  useEffect(() => {
    if (shown.current === view) return;
    shown.current = view;
    document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
  }, [view]);
}
