import type { PointerEvent } from "react";
import { format } from "../text/format.ts";
import { nearestPoint, scale, scaleValues, stepPath, type Point } from "./chart.ts";
import { useWidth } from "./useWidth.ts";

const HEIGHT = 240;
const INSET = { top: 14, right: 14, bottom: 30, left: 58 };
const SCALE_STEPS = 4;

interface Props {
  /** Oldest first, at least one. */
  readonly points: readonly Point[];
  readonly marked: Point;
  /** The id of the text that says the same. */
  readonly labelledBy: string;
  /** Told the point nearest to the pointer, null when it left. */
  readonly onTouch: (point: Point | null) => void;
}

/** A stepped line over time with its scales, as wide as there is room. */
export function ChartDrawing({ points, marked, labelledBy, onTouch }: Props) {
  const [frame, width] = useWidth<HTMLDivElement>();
  const totals = points.map((point) => point.total);
  const values = scaleValues(Math.min(...totals), Math.max(...totals), SCALE_STEPS);
  const [left, right, floor] = [INSET.left, width - INSET.right, HEIGHT - INSET.bottom];
  const [start, end] = [points[0]?.at ?? 0, points.at(-1)?.at ?? 0];
  const x = scale([start, end], [left, right]);
  const y = scale([values[0] ?? 0, values.at(-1) ?? 0], [floor, INSET.top]);
  const line = stepPath(points, x, y);

  const touch = (event: PointerEvent<SVGSVGElement>) => {
    const across = event.clientX - event.currentTarget.getBoundingClientRect().left;
    onTouch(nearestPoint(points, scale([left, right], [start, end])(across)) ?? null);
  };

  return (
    <div ref={frame}>
      <svg
        role="img"
        aria-labelledby={labelledBy}
        width={width}
        height={HEIGHT}
        onPointerMove={touch}
        onPointerDown={touch}
        onPointerLeave={() => {
          onTouch(null);
        }}
      >
        {values.map((value) => (
          <g key={value} className={value === 0 ? "chart-line chart-zero" : "chart-line"}>
            <line x1={left} x2={right} y1={y(value)} y2={y(value)} />
            <text x={left - 10} y={y(value)} dy="0.32em" textAnchor="end">
              {format.compact(value)}
            </text>
          </g>
        ))}
        <path className="chart-area" d={`${line}V${floor}H${x(start)}Z`} />
        <path className="chart-total" d={line} />
        <line className="chart-guide" x1={x(marked.at)} x2={x(marked.at)} y1={INSET.top} y2={floor} />
        <circle className="chart-dot" cx={x(marked.at)} cy={y(marked.total)} r="4.5" />
        <text x={left} y={HEIGHT - 8}>
          {format.day(new Date(start))}
        </text>
        <text x={right} y={HEIGHT - 8} textAnchor="end">
          {format.day(new Date(end))}
        </text>
      </svg>
    </div>
  );
}
