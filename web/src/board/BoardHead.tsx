import type { ReactNode } from "react";
import { PlaceLink } from "../shell/PlaceLink.tsx";
import { PAGE_SIZES, type Place } from "../shell/place.ts";
import { format } from "../text/format.ts";

interface Props {
  readonly title: string;
  readonly totalCount: number | undefined;
  readonly place: Place;
  readonly children?: ReactNode;
}

/** The heading of a board: how many players it has, how many rows to show, and what else belongs to it. */
export function BoardHead({ title, totalCount, place, children }: Props) {
  return (
    <div className="board-head">
      <div>
        <h1 id="board-title" tabIndex={-1}>
          {title}
        </h1>
        <p className="board-count">
          {totalCount === undefined
            ? "\u00a0"
            : `${format.number(totalCount)} ${totalCount === 1 ? "player" : "players"}`}
        </p>
      </div>
      <div className="board-tools">
        {children}
        <nav className="sizes" aria-label="Rows shown">
          <span aria-hidden="true">Rows</span>
          {PAGE_SIZES.map((size) => (
            <PlaceLink
              key={size}
              to={{ ...place, show: size }}
              aria-current={size === place.show ? "true" : undefined}
              aria-label={`Show ${format.number(size)} rows`}
            >
              {format.number(size)}
            </PlaceLink>
          ))}
        </nav>
      </div>
    </div>
  );
}
