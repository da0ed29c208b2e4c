import { useCallback } from "react";
import { useQuery, type CombinedError } from "urql";
import { ReadPlayerDocument, type ReadPlayerQuery } from "../api/operations.ts";
import { useKept } from "../api/useKept.ts";
import { useRefresh } from "../api/useRefresh.ts";

/** How many neighbours to show above and below. */
const RADIUS = 4;
const REFRESH_EVERY_MS = 10_000;

export interface ReadPlayer {
  readonly player: ReadPlayerQuery | undefined;
  /** Why the last read brought nothing; single fields that are away are null and no error. */
  readonly error: CombinedError | undefined;
  readonly refresh: () => void;
}

/** A player and the neighbours, refreshed now and then. What was read stays when a refresh fails. */
export function useReadPlayer(userId: string): ReadPlayer {
  const [result, execute] = useQuery({
    query: ReadPlayerDocument,
    variables: { userId, radius: RADIUS },
    requestPolicy: "cache-and-network",
  });
  const refresh = useCallback(() => {
    execute({ requestPolicy: "network-only" });
  }, [execute]);
  useRefresh(refresh, REFRESH_EVERY_MS);
  const { data, error } = result;
  return { player: useKept(userId, data), error: data ? undefined : error, refresh };
}
