/** Where rows stand in a list: the distance of each from the top, in CSS pixels, by its key. */
export type Tops = ReadonlyMap<string, number>;

export interface Moves {
  /** How far from its new place each moved row was seen last: where its way begins. */
  readonly moved: ReadonlyMap<string, number>;
  /** Rows that were not there before. */
  readonly entered: readonly string[];
}

/**
 * What to animate when rows seen at `before` now stand at `after`.
 *
 * `underWay` is how far each row is from its place at this moment because an earlier move has not ended; a row that is
 * moved again starts where it is seen. On the first showing (`before` is empty) nothing moves.
 */
export function movesBetween(before: Tops, after: Tops, underWay: Tops): Moves {
  const moved = new Map<string, number>();
  const entered: string[] = [];
  if (before.size === 0) return { moved, entered };
  for (const [key, top] of after) {
    const was = before.get(key);
    if (was === undefined) {
      entered.push(key);
      continue;
    }
    const distance = was + (underWay.get(key) ?? 0) - top;
    if (was !== top && distance !== 0) moved.set(key, distance);
  }
  return { moved, entered };
}
