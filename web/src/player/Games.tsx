import { useState } from "react";
import { GamesPage } from "./GamesPage.tsx";

interface Props {
  readonly userId: string;
  /** How many games the player has: when it grows, the newest page is read again. */
  readonly count: number;
}

/** A player's games, newest first; older ones come page by page. */
export function Games({ userId, count }: Props) {
  const [pages, setPages] = useState(1);
  return (
    <table className="games">
      <caption className="hidden">Games, newest first</caption>
      <thead>
        <tr>
          <th scope="col">Played</th>
          <th scope="col" className="cell-mode">
            Mode
          </th>
          <th scope="col" className="cell-length">
            Length
          </th>
          <th scope="col" className="cell-score">
            Score
          </th>
        </tr>
      </thead>
      <GamesPage
        userId={userId}
        after={null}
        count={count}
        pages={pages}
        showMore={() => {
          setPages(pages + 1);
        }}
      />
    </table>
  );
}
