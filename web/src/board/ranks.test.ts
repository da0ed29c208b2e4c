import { expect, it } from "vitest";
import { rowsOf } from "../testing/rows.ts";
import { shareOfBest, tiedIn } from "./ranks.ts";

it("finds who shares a rank", () => {
  expect([...tiedIn(rowsOf(["1", 9], ["2", 7], ["3", 7], ["4", 7], ["5", 1]))]).toEqual(["2", "3", "4"]);
});

it("takes missing ranks for no tie", () => {
  expect(tiedIn(rowsOf(["1", 9], ["2", 9]).map((row) => ({ ...row, rank: null }))).size).toBe(0);
});

it("gives bars their share of the best total, and none to what is not positive", () => {
  expect(shareOfBest(50, 200)).toBe(0.25);
  expect(shareOfBest(-50, 200)).toBe(0);
  expect(shareOfBest(-50, -20)).toBe(0);
  expect(shareOfBest(0, 0)).toBe(0);
});
