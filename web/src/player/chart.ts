/** A player's total from one instant on. */
export interface Point {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly total: number;
  /** What the session at this instant brought. */
  readonly score: number;
}

/** What the chart needs of a session. */
export interface Scored {
  readonly score: number;
  readonly playedAt: string;
}

/**
 * The total after each session, oldest first, counted back from the total now.
 *
 * `sessions` are the newest ones, newest first; they need not be all of them.
 */
export function totalsOverTime(sessions: readonly Scored[], totalNow: number): Point[] {
  const points: Point[] = [];
  let total = totalNow;
  for (const { score, playedAt } of sessions) {
    points.push({ at: Date.parse(playedAt), total, score });
    total -= score;
  }
  return points.reverse();
}

/** Round values for the lines of a scale, from at or below `low` to at or above `high`; `low` must not exceed `high`. */
export function scaleValues(low: number, high: number, steps: number): number[] {
  const span = high - low || Math.max(1, Math.abs(high));
  const rough = span / steps;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const nice = [1, 2, 5, 10].find((factor) => factor * magnitude >= rough) ?? 10;
  const step = Math.max(1, nice * magnitude);
  const first = Math.floor(low / step);
  const last = Math.max(first + 1, Math.ceil(high / step));
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
}

/** A map of the range `from` to the range `to`; the middle of `to` where `from` is a single value. */
export function scale(from: readonly [number, number], to: readonly [number, number]): (value: number) => number {
  const [low, high] = from;
  const [start, end] = to;
  if (high === low) return () => (start + end) / 2;
  return (value) => start + ((value - low) / (high - low)) * (end - start);
}

/** The SVG path of a total that stays until the next session changes it: steps, not slopes. */
export function stepPath(points: readonly Point[], x: (at: number) => number, y: (total: number) => number): string {
  return points
    .map((point, index) => {
      const [across, down] = [rounded(x(point.at)), rounded(y(point.total))];
      return index === 0 ? `M${across} ${down}` : `H${across}V${down}`;
    })
    .join("");
}

/** The point whose instant is nearest; undefined of none. */
export function nearestPoint(points: readonly Point[], at: number): Point | undefined {
  let nearest: Point | undefined;
  for (const point of points) {
    if (nearest === undefined || Math.abs(point.at - at) < Math.abs(nearest.at - at)) nearest = point;
  }
  return nearest;
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
