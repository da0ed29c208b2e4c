import { useCallback } from "react";
import { useQuery } from "urql";
import { ReadRecentDocument } from "../api/operations.ts";
import { useKept } from "../api/useKept.ts";
import { useRefresh } from "../api/useRefresh.ts";
import { TotalChart } from "./TotalChart.tsx";
import { useReadOnGrowth } from "./useReadOnGrowth.ts";

/** How many of the newest sessions the chart is drawn from; the most that one request may ask for. */
const RECENT_SESSIONS = 100;
const RETRY_EVERY_MS = 10_000;

interface Props {
  readonly userId: string;
  readonly total: number;
  /** How many games the player has: when it grows, the newest are read again. */
  readonly count: number;
}

/** The chart of a player's total, as far as the newest sessions can be read. */
export function RecentTotals({ userId, total, count }: Props) {
  const [{ data, error }, execute] = useQuery({
    query: ReadRecentDocument,
    variables: { userId, first: RECENT_SESSIONS },
    requestPolicy: "cache-and-network",
  });
  const read = useCallback(() => {
    execute({ requestPolicy: "network-only" });
  }, [execute]);
  useReadOnGrowth(read, count);
  useRefresh(() => {
    if (error !== undefined) read();
  }, RETRY_EVERY_MS);
  const history = useKept(userId, data?.history);
  if (history !== undefined) {
    return <TotalChart sessions={history.nodes} sessionCount={history.totalCount} total={total} />;
  }
  return (
    <p className="chart-coming">
      {error === undefined ? "Loading the newest games…" : "The games that it would be drawn from cannot be read now."}
    </p>
  );
}
