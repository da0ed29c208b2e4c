import { useCallback } from "react";
import { useQuery, type CombinedError } from "urql";
import { ReadPageDocument, type ReadPageQuery } from "../api/operations.ts";
import { useKept } from "../api/useKept.ts";
import { useRefresh } from "../api/useRefresh.ts";

const REFRESH_EVERY_MS = 15_000;

export interface ReadPage {
  readonly page: ReadPageQuery["leaderboard"] | undefined;
  readonly error: CombinedError | undefined;
  readonly refresh: () => void;
}

/** One page of the board by HTTP, refreshed now and then. What was read stays when a refresh fails. */
export function useReadPage(first: number, after: string | null): ReadPage {
  const [result, execute] = useQuery({
    query: ReadPageDocument,
    variables: { first, after },
    requestPolicy: "cache-and-network",
  });
  const refresh = useCallback(() => {
    execute({ requestPolicy: "network-only" });
  }, [execute]);
  useRefresh(refresh, REFRESH_EVERY_MS);
  return { page: useKept(`${first} ${after ?? ""}`, result.data?.leaderboard), error: result.error, refresh };
}
