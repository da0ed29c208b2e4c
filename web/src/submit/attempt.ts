import { uuid7 } from "../api/uuid7.ts";

/** What somebody typed: one game of one player. */
export interface Game {
  readonly userId: string;
  readonly username: string;
  readonly score: string;
  readonly gameMode: string;
  readonly durationSeconds: string;
}

/** A submission on its way, until the service has said that it counts. */
export interface Attempt {
  readonly submissionId: string;
  readonly game: Game;
}

/**
 * The attempt to send `game`: the unfinished one again, with its id, if it is of the same content.
 *
 * The service counts an id once, so that an attempt whose answer was lost can be repeated without harm. Other content is
 * another game: under the old id it would be refused.
 */
export function attemptOf(game: Game, unfinished: Attempt | null): Attempt {
  if (unfinished !== null && sameGame(unfinished.game, game)) return unfinished;
  return { submissionId: uuid7(), game };
}

function sameGame(one: Game, other: Game): boolean {
  return (Object.keys(one) as (keyof Game)[]).every((field) => one[field] === other[field]);
}
