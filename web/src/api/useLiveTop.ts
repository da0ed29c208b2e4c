import { useEffect } from "react";
import { useSubscription } from "urql";
import { backoffMs, waitOrWake } from "./backoff.ts";
import { reads } from "./client.ts";
import { WatchTopDocument, type WatchTopSubscription } from "./operations.ts";
import { useKept } from "./useKept.ts";

export type LiveTop = WatchTopSubscription["topChanged"];

/** Failed attempts that the wait after a refused subscription is that of. */
const REFUSED_COUNTS_AS_RETRIES = 3;

/** The newest top of the board that was sent; undefined until the first one came. */
export function useLiveTop(first: number): LiveTop | undefined {
  const [result, subscribe] = useSubscription({ query: WatchTopDocument, variables: { first } });
  // The socket mends itself; a subscription that the service refused or ended must be asked for again.
  const { error } = result;
  useEffect(() => {
    if (error === undefined) return;
    let dropped = false;
    void waitOrWake(backoffMs(REFUSED_COUNTS_AS_RETRIES, Math.random()))
      .then(reads.over)
      .then(() => {
        if (!dropped) subscribe();
      });
    return () => {
      dropped = true;
    };
  }, [error, subscribe]);
  return useKept("top", result.data?.topChanged);
}
