import type { RowFragment } from "../api/operations.ts";

/** The user ids of rows that share their rank with a neighbour of theirs. */
export function tiedIn(rows: readonly RowFragment[]): ReadonlySet<string> {
  const tied = new Set<string>();
  for (const [index, row] of rows.entries()) {
    const above = rows[index - 1];
    if (above === undefined || row.rank === null || above.rank !== row.rank) continue;
    tied.add(above.userId).add(row.userId);
  }
  return tied;
}

/** The length of a row's bar, 0..1: its share of the best total shown. Totals of 0 and below have none. */
export function shareOfBest(total: number, best: number): number {
  return total <= 0 || best <= 0 ? 0 : total / best;
}
