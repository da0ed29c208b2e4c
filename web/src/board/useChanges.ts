import { useLayoutEffect, useState, useSyncExternalStore } from "react";
import type { RowFragment } from "../api/operations.ts";
import { ChangeStore } from "./ChangeStore.ts";
import type { Changes } from "./changes.ts";

/** The marks of what changed in `rows` lately, by user id. */
export function useChanges(rows: readonly RowFragment[]): Changes {
  const [store] = useState(() => new ChangeStore());
  useLayoutEffect(() => {
    store.see(rows);
  }, [store, rows]);
  return useSyncExternalStore(store.subscribe, store.get);
}
