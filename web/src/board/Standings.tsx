import { useRef } from "react";
import type { RowFragment } from "../api/operations.ts";
import type { PageSize } from "../shell/place.ts";
import { shareOfBest, tiedIn } from "./ranks.ts";
import { StandingRow } from "./StandingRow.tsx";
import { useChanges } from "./useChanges.ts";
import { useMoves } from "./useMoves.ts";

interface Props {
  readonly rows: readonly RowFragment[];
  /** What the table shows, for those who do not see it. */
  readonly caption: string;
  readonly show: PageSize;
  /** The board's best total, which the bars are shares of; undefined while it is not known. */
  readonly best: number | undefined;
  /** The player whom the table is about, if it is about one. */
  readonly currentId?: string;
}

/** Standings as a table whose rows glide to their new places and are marked when their total changed. */
export function Standings({ rows, caption, show, best, currentId }: Props) {
  const body = useRef<HTMLTableSectionElement>(null);
  const changes = useChanges(rows);
  useMoves(body, rows);
  const tied = tiedIn(rows);
  return (
    <table className="standings">
      <caption className="hidden">{caption}</caption>
      <thead>
        <tr>
          <th scope="col" className="cell-rank">
            Rank
          </th>
          <th scope="col" className="cell-name">
            Player
          </th>
          <th scope="col" className="cell-games">
            Games
          </th>
          <th scope="col" className="cell-last">
            Last played
          </th>
          <th scope="col" className="cell-total">
            Total
          </th>
        </tr>
      </thead>
      <tbody ref={body}>
        {rows.map((row) => (
          <StandingRow
            key={row.userId}
            row={row}
            tied={tied.has(row.userId)}
            share={shareOfBest(row.totalScore, best ?? 0)}
            change={changes.get(row.userId)}
            current={row.userId === currentId}
            show={show}
          />
        ))}
      </tbody>
    </table>
  );
}

/** As many empty rows as will come, so that nothing jumps when they do. */
export function StandingsComing({ count }: { readonly count: number }) {
  return (
    <div className="coming" role="status">
      <span className="hidden">Loading the standings…</span>
      {Array.from({ length: count }, (_, index) => (
        <div key={index} className="coming-row" aria-hidden="true" />
      ))}
    </div>
  );
}
