import type { RowFragment } from "../api/operations.ts";

/** Rows of a board: best first, as `[id, total]`, with standard competition ranks. */
export function rowsOf(...players: readonly (readonly [id: string, total: number])[]): RowFragment[] {
  return players.map(([userId, totalScore]) => ({
    userId,
    totalScore,
    rank: 1 + players.filter(([, total]) => total > totalScore).length,
    username: `Player ${userId}`,
    gamesPlayed: 3,
    lastPlayed: "2026-11-23T10:15:00.123456Z",
  }));
}
