import type { CombinedError } from "urql";
import { mayPass, problemOf } from "../text/problem.ts";
import type { Game } from "./attempt.ts";

export interface Problem {
  /** The field that it is about; null for the whole submission. */
  readonly field: keyof Game | null;
  readonly message: string;
  /** Whether the very same submission may succeed later. */
  readonly again: boolean;
}

const FIELDS: readonly (keyof Game)[] = ["userId", "username", "score", "gameMode", "durationSeconds"];

/** What the service said against a submission, and to which field it belongs. */
export function submitProblem(error: CombinedError): Problem {
  const message = problemOf(error);
  // "input.score must be …" of the service's own checks, "… invalid value at .score: …" of GraphQL's.
  const named = /(?:\binput|\bat )\.(\w+)/.exec(message)?.[1];
  return {
    field: FIELDS.find((field) => field === named) ?? null,
    message,
    again: mayPass(error),
  };
}
