import { act, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { rowsOf } from "../testing/rows.ts";
import { newsOf } from "./announce.ts";
import { NEWS_EVERY_MS, useNews } from "./useNews.ts";

describe("newsOf", () => {
  it.each([
    ["nothing changed", rowsOf(["1", 9], ["2", 7]), rowsOf(["1", 9], ["2", 7]), ""],
    ["the first showing", [], rowsOf(["1", 9]), ""],
    ["a new leader", rowsOf(["1", 9], ["2", 7]), rowsOf(["2", 1200], ["1", 9]), "Player 2 now leads with 1,200."],
    ["the leader again", rowsOf(["1", 9], ["2", 7]), rowsOf(["1", 12], ["2", 7]), "Player 1 leads with 12."],
    [
      "somebody else",
      rowsOf(["1", 9], ["2", 7]),
      rowsOf(["1", 9], ["2", 8]),
      "Player 2 has 8 at rank 2. Player 1 leads with 9.",
    ],
    ["several", rowsOf(["1", 9], ["2", 7]), rowsOf(["1", 10], ["2", 8]), "Player 1 leads with 10. 2 players changed."],
  ])("%s", (_, before, after, news) => {
    expect(newsOf(before, after)).toBe(news);
  });
});

describe("useNews", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("sums up many changes in one message at its time", () => {
    const { result, rerender } = renderHook(useNews, { initialProps: rowsOf() });
    rerender(rowsOf(["1", 9], ["2", 7]));
    for (let total = 8; total <= 20; total++) rerender(rowsOf(["1", 9], ["2", total]));
    expect(result.current).toBe("");
    act(() => {
      vi.advanceTimersByTime(NEWS_EVERY_MS);
    });
    expect(result.current).toBe("Player 2 has 20 at rank 1. Player 1 leads with 9.");
  });
});
