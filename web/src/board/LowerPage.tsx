import { useEffect } from "react";
import type { RowFragment } from "../api/operations.ts";
import { refusalOf } from "../api/refusalOf.ts";
import { PlaceLink } from "../shell/PlaceLink.tsx";
import { useTrail } from "../shell/navigation.ts";
import { hrefOf, placeOf, type PageSize, type Place } from "../shell/place.ts";
import { Failed } from "../text/Failed.tsx";
import { format } from "../text/format.ts";
import { Instant } from "../text/Instant.tsx";
import { BoardHead } from "./BoardHead.tsx";
import { RanksMissing } from "./notices.tsx";
import { Standings, StandingsComing } from "./Standings.tsx";
import { useReadPage } from "./useReadPage.ts";

interface Props {
  /** The cursor behind which the page begins. */
  readonly after: string;
  readonly show: PageSize;
  readonly best: number | undefined;
}

/** A page below the top. It begins behind a player, not at a rank, so it stays right while scores change. */
export function LowerPage({ after, show, best }: Props) {
  const { page, error, refresh } = useReadPage(show, after);
  const place: Place = { view: "page", show, after };
  const title = page === undefined ? "Further down" : titleOf(page.nodes);

  useEffect(() => {
    document.title = `${title} · Shardboard`;
  }, [title]);

  return (
    <section aria-labelledby="board-title" className="board">
      <BoardHead title={title} totalCount={page?.totalCount} place={place} />
      {page === undefined && error !== undefined && <Failed what="This page" error={error} retry={refresh} />}
      {page === undefined && error === undefined && <StandingsComing count={show} />}
      {page?.nodes.length === 0 && <p className="notice notice-empty">The board ends above this page.</p>}
      {page !== undefined && page.nodes.length > 0 && (
        <>
          <RanksMissing rows={page.nodes} />
          <Standings rows={page.nodes} caption={title} show={show} best={best} />
        </>
      )}
      <div className="board-foot">
        {page !== undefined && (
          <p className="as-of">
            As of <Instant at={page.asOf} as="clock" />
            {error !== undefined && refusalOf(error) === null && " – the service does not answer"}
          </p>
        )}
        <Turns place={place} next={page?.pageInfo} />
      </div>
    </section>
  );
}

interface TurnsProps {
  readonly place: Place;
  readonly next: { readonly hasNextPage: boolean; readonly endCursor: string | null } | undefined;
}

function Turns({ place, next }: TurnsProps) {
  const trail = useTrail();
  const above = trail.at(-1);
  return (
    <nav aria-label="Pages" className="turns">
      <PlaceLink className="turn" to={{ view: "top", show: place.show }}>
        To the top
      </PlaceLink>
      {above !== undefined && trail.length > 1 && (
        <PlaceLink className="turn" to={placeOf(above.slice(1))} trail={trail.slice(0, -1)} rel="prev">
          <span aria-hidden="true">←</span> Previous
        </PlaceLink>
      )}
      {next?.hasNextPage === true && next.endCursor !== null && (
        <PlaceLink
          className="turn"
          to={{ view: "page", show: place.show, after: next.endCursor }}
          trail={[...trail, hrefOf(place)]}
          rel="next"
        >
          Next <span aria-hidden="true">→</span>
        </PlaceLink>
      )}
    </nav>
  );
}

function titleOf(rows: readonly RowFragment[]): string {
  const first = rows[0]?.rank ?? null;
  const last = rows.at(-1)?.rank ?? null;
  if (first === null || last === null) return "Further down";
  return first === last ? `Rank ${format.number(first)}` : `Ranks ${format.number(first)} to ${format.number(last)}`;
}
