import { useId, useState, type PointerEvent } from "react";
import { format } from "../text/format.ts";
import { nearestPoint, scale, scaleValues, stepPath, totalsOverTime, type Point, type Scored } from "./chart.ts";
import { useWidth } from "./useWidth.ts";

const HEIGHT = 240;
const INSET = { top: 14, right: 14, bottom: 30, left: 58 };
const SCALE_STEPS = 4;

interface Props {
  /** The newest sessions, newest first. */
  readonly sessions: readonly Scored[];
  /** How many the player has in all. */
  readonly sessionCount: number;
  readonly total: number;
}

/** The total over the newest sessions as a stepped line, with a sentence that says the same. */
export function TotalChart({ sessions, sessionCount, total }: Props) {
  const points = totalsOverTime(sessions, total);
  const summary = useId();
  const [frame, width] = useWidth<HTMLElement>();
  const [touched, setTouched] = useState<number | null>(null);
  const first = points[0];
  const last = points.at(-1);
  if (first === undefined || last === undefined) return <p className="notice">No game is kept of this player.</p>;

  const totals = points.map((point) => point.total);
  const lines = scaleValues(Math.min(...totals), Math.max(...totals), SCALE_STEPS);
  const x = scale([first.at, last.at], [INSET.left, width - INSET.right]);
  const y = scale([lines[0] ?? 0, lines.at(-1) ?? 0], [HEIGHT - INSET.bottom, INSET.top]);
  const line = stepPath(points, x, y);
  const floor = HEIGHT - INSET.bottom;
  const read = touched === null ? last : (nearestPoint(points, touched) ?? last);

  const touch = (event: PointerEvent<SVGSVGElement>) => {
    const across = event.clientX - event.currentTarget.getBoundingClientRect().left;
    setTouched(scale([INSET.left, width - INSET.right], [first.at, last.at])(across));
  };

  return (
    <figure className="chart" ref={frame}>
      <figcaption id={summary}>{summaryOf(points, sessionCount)}</figcaption>
      <p className="chart-read" aria-hidden="true">
        <strong>{format.number(read.total)}</strong> <span>{format.change(read.score)}</span>{" "}
        {format.moment(new Date(read.at))}
      </p>
      <svg
        role="img"
        aria-labelledby={summary}
        width={width}
        height={HEIGHT}
        viewBox={`0 0 ${width} ${HEIGHT}`}
        onPointerMove={touch}
        onPointerDown={touch}
        onPointerLeave={() => {
          setTouched(null);
        }}
      >
        {lines.map((value) => (
          <g key={value} className={value === 0 ? "chart-line chart-zero" : "chart-line"}>
            <line x1={INSET.left} x2={width - INSET.right} y1={y(value)} y2={y(value)} />
            <text x={INSET.left - 10} y={y(value)} dy="0.32em" textAnchor="end">
              {format.compact(value)}
            </text>
          </g>
        ))}
        <path className="chart-area" d={`${line}V${floor}H${x(first.at)}Z`} />
        <path className="chart-total" d={line} />
        <line className="chart-guide" x1={x(read.at)} x2={x(read.at)} y1={INSET.top} y2={floor} />
        <circle className="chart-dot" cx={x(read.at)} cy={y(read.total)} r="4.5" />
        <text className="chart-end" x={INSET.left} y={HEIGHT - 8}>
          {format.day(new Date(first.at))}
        </text>
        {last.at > first.at && (
          <text className="chart-end" x={width - INSET.right} y={HEIGHT - 8} textAnchor="end">
            {format.day(new Date(last.at))}
          </text>
        )}
      </svg>
    </figure>
  );
}

/** The chart in words. */
function summaryOf(points: readonly Point[], sessionCount: number): string {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined) return "";
  const best = points.reduce((highest, point) => (point.total > highest.total ? point : highest));
  const games = points.length < sessionCount ? `The last ${format.number(points.length)} games` : "All games";
  if (points.length === 1)
    return `One game, on ${format.moment(new Date(last.at))}, brought ${format.number(last.total)}.`;
  const peak =
    best.total === last.total
      ? ""
      : ` The highest was ${format.number(best.total)} on ${format.day(new Date(best.at))}.`;
  const from = format.number(first.total - first.score);
  return `${games}, since ${format.day(new Date(first.at))}, took the total from ${from} to ${format.number(last.total)}.${peak}`;
}
