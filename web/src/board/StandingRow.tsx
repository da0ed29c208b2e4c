import type { RowFragment } from "../api/operations.ts";
import { PlaceLink } from "../shell/PlaceLink.tsx";
import type { PageSize } from "../shell/place.ts";
import { format } from "../text/format.ts";
import { Instant } from "../text/Instant.tsx";
import { Name } from "../text/Name.tsx";
import type { Change } from "./changes.ts";
import { hasMedal, Rank } from "./Rank.tsx";

interface Props {
  readonly row: RowFragment;
  readonly tied: boolean;
  /** Length of the bar behind the row, 0..1. */
  readonly share: number;
  readonly change: Change | undefined;
  /** Whether this is the player whom the table is about. */
  readonly current: boolean;
  readonly show: PageSize;
}

/** Characters of a total up to which it leaves a name its room on the smallest screen. */
const SHORT_TOTAL_MAX = 13;

export function StandingRow({ row, tied, share, change, current, show }: Props) {
  const classes = ["row", change && "row-changed", current && "row-current", hasMedal(row.rank) && "row-medal"];
  const total = format.number(row.totalScore);
  return (
    <tr className={classes.filter(Boolean).join(" ")} data-player={row.userId} aria-current={current || undefined}>
      <td className="cell-rank">
        <Rank rank={row.rank} tied={tied} />
      </td>
      <th scope="row" className="cell-name">
        <span className="bar" aria-hidden="true" style={{ inlineSize: `${share * 100}%` }} />
        <PlaceLink className="player-link" to={{ view: "player", show, userId: row.userId }}>
          <Name>{row.username}</Name>
        </PlaceLink>
        <span className="row-facts">
          {format.number(row.gamesPlayed)} {row.gamesPlayed === 1 ? "game" : "games"} · <Instant at={row.lastPlayed} />
        </span>
      </th>
      <td className="cell-games">{format.number(row.gamesPlayed)}</td>
      <td className="cell-last">
        <Instant at={row.lastPlayed} />
      </td>
      <td className="cell-total">
        {change !== undefined && <ChangeMark change={change} />}
        <span className={total.length > SHORT_TOTAL_MAX ? "total total-long" : "total"}>{total}</span>
      </td>
    </tr>
  );
}

function ChangeMark({ change }: { readonly change: Change }) {
  if (change.scoreDelta === 0) return change.entered ? <span className="mark mark-up">new</span> : null;
  const climbed = change.rankGain > 0 ? `▲${format.number(change.rankGain)}` : "";
  const fell = change.rankGain < 0 ? `▼${format.number(-change.rankGain)}` : "";
  return (
    <span className={change.scoreDelta > 0 ? "mark mark-up" : "mark mark-down"}>
      <span className="mark-places" aria-hidden="true">
        {climbed || fell}
      </span>
      {format.change(change.scoreDelta)}
    </span>
  );
}
