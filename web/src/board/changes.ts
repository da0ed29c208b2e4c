import type { RowFragment } from "../api/operations.ts";

/** How long a row stays marked after its total changed. */
export const CHANGED_FOR_MS = 6_000;

/** What happened to a player's row lately. */
export interface Change {
  /** What the total gained since the row was last without a mark; negative for what it lost. */
  readonly scoreDelta: number;
  /** Places gained, negative for lost; 0 also where a rank was unavailable. */
  readonly rankGain: number;
  /** Not among the rows before. */
  readonly entered: boolean;
  /** Milliseconds since 1970. */
  readonly until: number;
}

export type Changes = ReadonlyMap<string, Change>;

/**
 * The marks after the rows `before` became the rows `after`: still valid ones, grown by what changed now.
 *
 * Rows that only moved because another overtook them are not marked: one score would light up the whole board.
 */
export function noteChanges(
  marks: Changes,
  before: readonly RowFragment[],
  after: readonly RowFragment[],
  now: number,
): Changes {
  const earlier = new Map(before.map((row) => [row.userId, row]));
  const noted = new Map<string, Change>();
  for (const [index, row] of after.entries()) {
    const mark = marks.get(row.userId);
    const valid = mark !== undefined && mark.until > now ? mark : undefined;
    const was = earlier.get(row.userId);
    if (was === undefined) {
      // More rows were asked for, or the board grew at its end: nobody entered against others.
      const appended = index >= before.length;
      if (!appended) noted.set(row.userId, { scoreDelta: 0, rankGain: 0, entered: true, until: now + CHANGED_FOR_MS });
    } else if (was.totalScore !== row.totalScore) {
      const gained = was.rank === null || row.rank === null ? 0 : was.rank - row.rank;
      noted.set(row.userId, {
        scoreDelta: (valid?.scoreDelta ?? 0) + row.totalScore - was.totalScore,
        rankGain: (valid?.rankGain ?? 0) + gained,
        entered: valid?.entered ?? false,
        until: now + CHANGED_FOR_MS,
      });
    } else if (valid !== undefined) {
      noted.set(row.userId, valid);
    }
  }
  return noted;
}

/** Those marks whose time has not come; the same map where that is all of them. */
export function withoutExpired(marks: Changes, now: number): Changes {
  const valid = [...marks].filter(([, mark]) => mark.until > now);
  return valid.length === marks.size ? marks : new Map(valid);
}
