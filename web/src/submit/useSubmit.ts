import { useState } from "react";
import { useMutation } from "urql";
import { SubmitScoreDocument, type SubmitScoreInput, type SubmitScoreMutation } from "../api/operations.ts";
import { attemptOf, type Attempt, type Game } from "./attempt.ts";
import { submitProblem, type Problem } from "./problems.ts";

export interface Submit {
  readonly sending: boolean;
  readonly done: SubmitScoreMutation["submitScore"] | null;
  readonly problem: Problem | null;
  /** Sends a game; true when it counts. */
  readonly send: (game: Game) => Promise<boolean>;
  readonly forgetProblem: () => void;
}

// A score changes what was read of sessions as well; its answer names standings alone.
const CHANGED_TYPES = { additionalTypenames: ["Standing", "GameSession"] };

export function useSubmit(): Submit {
  const [{ fetching }, submit] = useMutation(SubmitScoreDocument);
  const [unfinished, setUnfinished] = useState<Attempt | null>(null);
  const [done, setDone] = useState<Submit["done"]>(null);
  const [problem, setProblem] = useState<Problem | null>(null);

  const send = async (game: Game) => {
    const attempt = attemptOf(game, unfinished);
    setUnfinished(attempt);
    const { data, error } = await submit({ input: inputOf(attempt) }, CHANGED_TYPES);
    setProblem(error === undefined ? null : submitProblem(error));
    const counted = error === undefined ? data?.submitScore : undefined;
    setDone(counted ?? null);
    if (counted === undefined) return false;
    setUnfinished(null);
    return true;
  };
  return {
    sending: fetching,
    done,
    problem,
    send,
    forgetProblem: () => {
      setProblem(null);
    },
  };
}

function inputOf({ submissionId, game }: Attempt): SubmitScoreInput {
  return {
    submissionId,
    userId: game.userId.trim(),
    username: game.username,
    score: Number(game.score),
    gameMode: game.gameMode.trim() === "" ? null : game.gameMode,
    durationSeconds: game.durationSeconds.trim() === "" ? null : Number(game.durationSeconds),
  };
}
