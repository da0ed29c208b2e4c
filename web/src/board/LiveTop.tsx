import { useEffect, useMemo } from "react";
import type { LiveTop as Top } from "../api/useLiveTop.ts";
import { PlaceLink } from "../shell/PlaceLink.tsx";
import { hrefOf, type PageSize, type Place } from "../shell/place.ts";
import { Failed } from "../text/Failed.tsx";
import { format } from "../text/format.ts";
import { Instant } from "../text/Instant.tsx";
import { BoardHead } from "./BoardHead.tsx";
import { EmptyBoard, RanksMissing } from "./notices.tsx";
import { Standings, StandingsComing } from "./Standings.tsx";
import { useNews } from "./useNews.ts";
import { usePausable } from "./usePausable.ts";
import { useReadPage, type ReadPage } from "./useReadPage.ts";

interface Props {
  /** What the subscription brought last; undefined before it brought anything. */
  readonly live: Top | undefined;
  /** Whether `live` is current, not what was known when the connection was lost. */
  readonly isLive: boolean;
  readonly show: PageSize;
}

const NO_ROWS: Top["entries"] = [];

/** The top of the board as it moves, and the way to the pages below. */
export function LiveTop({ live, isLive, show }: Props) {
  const read = useReadPage(show, null);
  const newest = useMemo(() => newestOf(live, isLive, read.page, show), [live, isLive, read.page, show]);
  const { shown, paused, waiting, toggle } = usePausable(newest);
  const rows = shown?.rows ?? NO_ROWS;
  const news = useNews(rows);
  const place: Place = { view: "top", show };

  useEffect(() => {
    document.title = "Leaderboard · Shardboard";
  }, []);

  return (
    <section aria-labelledby="board-title" className="board">
      <BoardHead title="Leaderboard" totalCount={read.page?.totalCount} place={place}>
        {shown !== undefined && rows.length > 0 && (
          <button type="button" className="pause" aria-pressed={paused} onClick={toggle}>
            {paused ? "Resume" : "Pause"}
          </button>
        )}
      </BoardHead>
      <p className="hidden" aria-live="polite">
        {news}
      </p>
      {shown === undefined && read.error !== undefined && (
        <Failed what="The board" error={read.error} retry={read.refresh} />
      )}
      {shown === undefined && read.error === undefined && <StandingsComing count={show} />}
      {shown !== undefined && rows.length === 0 && <EmptyBoard />}
      {rows.length > 0 && (
        <>
          <RanksMissing rows={rows} />
          <Standings
            rows={rows}
            caption={`The top ${format.number(rows.length)}`}
            show={show}
            best={rows[0]?.totalScore}
          />
        </>
      )}
      {shown !== undefined && rows.length > 0 && (
        <div className="board-foot">
          <p className="as-of">
            {paused ? "Held at" : isLive ? "Last change" : "As of"} <Instant at={shown.asOf} as="clock" />
            {waiting && " – newer standings are waiting"}
          </p>
          <NextPage read={read} show={show} place={place} />
        </div>
      )}
    </section>
  );
}

function NextPage({ read, show, place }: { readonly read: ReadPage; readonly show: PageSize; readonly place: Place }) {
  const end = read.page?.pageInfo;
  if (end?.hasNextPage !== true || end.endCursor === null) return null;
  // The cursor is some seconds old; who is about to follow it gets the newest.
  return (
    <PlaceLink
      className="turn"
      to={{ view: "page", show, after: end.endCursor }}
      trail={[hrefOf(place)]}
      rel="next"
      onPointerEnter={read.refresh}
      onFocus={read.refresh}
    >
      Below the top {format.number(show)} <span aria-hidden="true">→</span>
    </PlaceLink>
  );
}

interface Shown {
  readonly rows: Top["entries"];
  readonly asOf: string;
}

/** What the socket brought, or what HTTP did if that is newer: where no socket gets through, the board moves as well. */
function newestOf(live: Top | undefined, isLive: boolean, page: ReadPage["page"], show: number): Shown | undefined {
  if (live !== undefined && (isLive || page === undefined || Date.parse(live.asOf) >= Date.parse(page.asOf))) {
    // Just after fewer rows were asked for, what is there is still the longer list.
    return { rows: live.entries.slice(0, show), asOf: live.asOf };
  }
  return page && { rows: page.nodes, asOf: page.asOf };
}
