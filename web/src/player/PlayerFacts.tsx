import type { ReadPlayerQuery } from "../api/operations.ts";
import { Rank } from "../board/Rank.tsx";
import { format } from "../text/format.ts";
import { Instant } from "../text/Instant.tsx";

interface Props {
  readonly standing: NonNullable<ReadPlayerQuery["rank"]>;
}

/** A player's standing in figures. */
export function PlayerFacts({ standing }: Props) {
  const { rank, percentile, totalScore, gamesPlayed, lastPlayed, joinedAt, userId } = standing;
  return (
    <>
      <p className="player-id">
        Player {userId}
        {joinedAt !== null && (
          <>
            , first seen <Instant at={joinedAt} as="day" />
          </>
        )}
      </p>
      <dl className="facts">
        <div className="fact fact-main">
          <dt>Rank</dt>
          <dd>
            <Rank rank={rank} tied={false} />
          </dd>
        </div>
        <div className="fact fact-main">
          <dt>Total</dt>
          <dd>{format.number(totalScore)}</dd>
        </div>
        <div className="fact">
          <dt>Percentile</dt>
          <dd>
            {percentile === null ? (
              "unavailable"
            ) : (
              <span title="Share of all players whose total is not better">{format.percentile(percentile)}</span>
            )}
          </dd>
        </div>
        <div className="fact">
          <dt>Games</dt>
          <dd>{format.number(gamesPlayed)}</dd>
        </div>
        <div className="fact">
          <dt>Last played</dt>
          <dd>
            <Instant at={lastPlayed} as="moment" />
          </dd>
        </div>
      </dl>
    </>
  );
}
