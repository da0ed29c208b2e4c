import { useCallback } from "react";
import { useQuery } from "urql";
import { ReadHistoryDocument, type ReadHistoryQuery } from "../api/operations.ts";
import { useKept } from "../api/useKept.ts";
import { useRefresh } from "../api/useRefresh.ts";
import { Failed } from "../text/Failed.tsx";
import { format } from "../text/format.ts";
import { Instant } from "../text/Instant.tsx";
import { useReadOnGrowth } from "./useReadOnGrowth.ts";

const GAMES_A_PAGE = 10;
const RETRY_EVERY_MS = 10_000;

interface Props {
  readonly userId: string;
  readonly after: string | null;
  readonly count: number;
  /** How many pages to show from here on, this one included. */
  readonly pages: number;
  readonly showMore: () => void;
}

/**
 * One page of games as rows, and the pages after it.
 *
 * Each page begins where the one above it ends now: when a new game pushes all others down, none falls between two pages.
 */
export function GamesPage({ userId, after, count, pages, showMore }: Props) {
  const [result, execute] = useQuery({
    query: ReadHistoryDocument,
    variables: { userId, first: GAMES_A_PAGE, after },
    requestPolicy: "cache-and-network",
  });
  const history = useKept(userId, result.data?.history);
  const read = useCallback(() => {
    execute({ requestPolicy: "network-only" });
  }, [execute]);
  useReadOnGrowth(read, count);
  useRefresh(() => {
    if (result.error !== undefined) read();
  }, RETRY_EVERY_MS);

  if (history === undefined) {
    return (
      <tbody>
        <tr>
          <td colSpan={4}>
            {result.error === undefined ? (
              <span role="status">Loading games…</span>
            ) : (
              <Failed what="These games" error={result.error} retry={read} />
            )}
          </td>
        </tr>
      </tbody>
    );
  }
  const { hasNextPage, endCursor } = history.pageInfo;
  return (
    <>
      <tbody>
        {history.nodes.map((game) => (
          <GameRow key={game.id} game={game} />
        ))}
        {hasNextPage && pages === 1 && (
          <tr>
            <td colSpan={4} className="games-more">
              <button type="button" onClick={showMore}>
                Show older games
              </button>
            </td>
          </tr>
        )}
      </tbody>
      {hasNextPage && pages > 1 && (
        <GamesPage userId={userId} after={endCursor} count={count} pages={pages - 1} showMore={showMore} />
      )}
    </>
  );
}

function GameRow({ game }: { readonly game: ReadHistoryQuery["history"]["nodes"][number] }) {
  const mode = game.gameMode === null ? null : <bdi dir="auto">{game.gameMode}</bdi>;
  const length = game.durationSeconds === null ? null : format.duration(game.durationSeconds);
  return (
    <tr>
      <td>
        <Instant at={game.playedAt} as="moment" />
        <span className="game-facts">
          {mode}
          {mode !== null && length !== null && " · "}
          {length}
        </span>
      </td>
      <td className="cell-mode">{mode ?? "–"}</td>
      <td className="cell-length">{length ?? "–"}</td>
      <td className="cell-score">{format.change(game.score)}</td>
    </tr>
  );
}
