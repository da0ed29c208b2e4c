import { describe, expect, it } from "vitest";
import { attemptOf, type Game } from "./attempt.ts";

const GAME: Game = { userId: "7", username: "Grace", score: "900", gameMode: "", durationSeconds: "" };

describe("attemptOf", () => {
  it("repeats an unfinished attempt of the same content under its id", () => {
    const first = attemptOf(GAME, null);
    expect(first.submissionId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(attemptOf({ ...GAME }, first)).toBe(first);
  });

  it("gives other content, and the same content after success, an id of its own", () => {
    const first = attemptOf(GAME, null);
    expect(attemptOf({ ...GAME, score: "901" }, first).submissionId).not.toBe(first.submissionId);
    expect(attemptOf(GAME, null).submissionId).not.toBe(first.submissionId);
  });
});
