import { useEffect } from "react";
import type { ReadPlayerQuery } from "../api/operations.ts";
import { refusalOf } from "../api/refusalOf.ts";
import { Standings, StandingsComing } from "../board/Standings.tsx";
import { PlaceLink } from "../shell/PlaceLink.tsx";
import type { PageSize } from "../shell/place.ts";
import { Failed } from "../text/Failed.tsx";
import { Name } from "../text/Name.tsx";
import { Games } from "./Games.tsx";
import { PlayerFacts } from "./PlayerFacts.tsx";
import { RecentTotals } from "./RecentTotals.tsx";
import { useReadPlayer } from "./useReadPlayer.ts";

interface Props {
  readonly userId: string;
  readonly show: PageSize;
  readonly best: number | undefined;
}

/** One player: standing, neighbours, and how the total came about. */
export function PlayerView({ userId, show, best }: Props) {
  const { player, error, refresh } = useReadPlayer(userId);
  const standing = player?.rank ?? null;
  const title = standing?.username ?? `Player ${userId}`;

  useEffect(() => {
    document.title = `${title} · Shardboard`;
  }, [title]);

  return (
    <article aria-labelledby="player-title" className="player">
      <p className="way-back">
        <PlaceLink to={{ view: "top", show }}>
          <span aria-hidden="true">←</span> Leaderboard
        </PlaceLink>
      </p>
      <h1 id="player-title" tabIndex={-1}>
        <Name>{title}</Name>
      </h1>
      {player === undefined && error !== undefined && <Failed what="This player" error={error} retry={refresh} />}
      {player === undefined && error === undefined && <StandingsComing count={6} />}
      {player !== undefined && standing === null && (
        <div className="notice notice-empty">
          <p>
            <strong>Player {userId} is not on this board.</strong> Either the id is another one, or no score of this
            player was submitted yet; once one is, it shows here by itself.
          </p>
        </div>
      )}
      {player !== undefined && standing !== null && (
        <PlayerSections
          player={player}
          standing={standing}
          show={show}
          best={best}
          failed={error !== undefined && refusalOf(error) === null}
        />
      )}
    </article>
  );
}

interface SectionsProps {
  readonly player: ReadPlayerQuery;
  readonly standing: NonNullable<ReadPlayerQuery["rank"]>;
  readonly show: PageSize;
  readonly best: number | undefined;
  readonly failed: boolean;
}

function PlayerSections({ player, standing, show, best, failed }: SectionsProps) {
  const neighbours = player.around ?? [];
  return (
    <>
      {failed && (
        <p className="notice" role="status">
          The service does not answer; this is what was known last. It is asked again by itself.
        </p>
      )}
      <PlayerFacts standing={standing} />
      <section aria-labelledby="chart-title" className="panel">
        <h2 id="chart-title">Total over time</h2>
        <RecentTotals userId={standing.userId} total={standing.totalScore} count={standing.gamesPlayed} />
      </section>
      <section aria-labelledby="around-title" className="panel">
        <h2 id="around-title">Neighbours</h2>
        {neighbours.length === 0 ? (
          <p className="notice">Neighbours are not available at the moment.</p>
        ) : (
          <Standings
            rows={neighbours}
            caption="Players just above and below"
            show={show}
            best={best}
            currentId={standing.userId}
          />
        )}
      </section>
      <section aria-labelledby="games-title" className="panel">
        <h2 id="games-title">Games</h2>
        <Games key={standing.userId} userId={standing.userId} count={standing.gamesPlayed} />
      </section>
    </>
  );
}
