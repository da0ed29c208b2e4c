import { useMemo, useSyncExternalStore } from "react";
import { placeOf, hrefOf, type Place } from "./place.ts";

/** Told when this page changes its own address; the browser tells of back and forward by `popstate`. */
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}

/** Go to a place, as a new entry of the browser's history. `trail` are the addresses of the pages above it. */
export function navigate(place: Place, trail: readonly string[] = []): void {
  window.history.pushState({ trail }, "", hrefOf(place));
  window.scrollTo(0, 0);
  for (const listener of listeners) listener();
}

export function usePlace(): Place {
  const search = useSyncExternalStore(subscribe, () => window.location.search);
  return useMemo(() => placeOf(search), [search]);
}

const NO_TRAIL: readonly string[] = [];

/** The addresses of the pages that led here, the nearest last; empty for who came by a shared link. */
export function useTrail(): readonly string[] {
  return useSyncExternalStore(subscribe, () => {
    const state = window.history.state as { readonly trail?: readonly string[] } | null;
    return state?.trail ?? NO_TRAIL;
  });
}
