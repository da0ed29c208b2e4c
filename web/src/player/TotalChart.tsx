import { useId, useState } from "react";
import { format } from "../text/format.ts";
import { totalsOverTime, type Point, type Scored } from "./chart.ts";
import { ChartDrawing } from "./ChartDrawing.tsx";

interface Props {
  /** The newest sessions, newest first. */
  readonly sessions: readonly Scored[];
  /** How many the player has in all. */
  readonly sessionCount: number;
  readonly total: number;
}

/** The total over the newest sessions: in a sentence, and as a drawing that the pointer can be moved along. */
export function TotalChart({ sessions, sessionCount, total }: Props) {
  const points = totalsOverTime(sessions, total);
  const summary = useId();
  const [touched, setTouched] = useState<Point | null>(null);
  const last = points.at(-1);
  if (last === undefined) return <p className="notice">No game of this player is kept.</p>;
  const read = touched ?? last;
  return (
    <figure className="chart">
      <figcaption id={summary}>{summaryOf(points, sessionCount)}</figcaption>
      {points.length > 1 && (
        <>
          <p className="chart-read" aria-hidden="true">
            <strong>{format.number(read.total)}</strong> <span>{format.change(read.score)}</span>{" "}
            {format.moment(new Date(read.at))}
          </p>
          <ChartDrawing points={points} marked={read} labelledBy={summary} onTouch={setTouched} />
        </>
      )}
    </figure>
  );
}

/** The chart in words. */
export function summaryOf(points: readonly Point[], sessionCount: number): string {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined) return "";
  if (sessionCount === 1) {
    return `One game, on ${format.moment(new Date(last.at))}, brought ${format.number(last.total)}.`;
  }
  const best = points.reduce((highest, point) => (point.total > highest.total ? point : highest));
  const games =
    points.length < sessionCount
      ? `The last ${format.number(points.length)} of ${format.number(sessionCount)} games`
      : `${format.number(points.length)} games`;
  const from = format.number(first.total - first.score);
  const way = `${games}, since ${format.day(new Date(first.at))}, took the total from ${from} to ${format.number(last.total)}.`;
  if (best.total === last.total) return way;
  return `${way} The highest was ${format.number(best.total)} on ${format.day(new Date(best.at))}.`;
}
