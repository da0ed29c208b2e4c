import { describe, expect, it } from "vitest";
import { nearestPoint, scale, scaleValues, stepPath, totalsOverTime } from "./chart.ts";

const at = (second: number) => new Date(second * 1000).toISOString();

describe("totalsOverTime", () => {
  it("counts back from the total now", () => {
    const newestFirst = [
      { score: -5, playedAt: at(30) },
      { score: 20, playedAt: at(20) },
      { score: 10, playedAt: at(10) },
    ];
    expect(totalsOverTime(newestFirst, 125)).toEqual([
      { at: 10_000, total: 110, score: 10 },
      { at: 20_000, total: 130, score: 20 },
      { at: 30_000, total: 125, score: -5 },
    ]);
    expect(totalsOverTime([], 125)).toEqual([]);
  });
});

describe("scaleValues", () => {
  it.each([
    [0, 58_320, [0, 20_000, 40_000, 60_000]],
    [-120, 130, [-200, -100, 0, 100, 200]],
    [7, 7, [6, 8]],
    [0, 0, [0, 1]],
    [3, 4, [3, 4]],
    [-9007199254740991, 9007199254740991, [-1e16, -5e15, 0, 5e15, 1e16]],
  ])("%d to %d is held by round values", (low, high, values) => {
    expect(scaleValues(low, high, 4)).toEqual(values);
    expect(values[0]).toBeLessThanOrEqual(low);
    expect(values.at(-1)).toBeGreaterThanOrEqual(high);
  });
});

describe("scale", () => {
  it("maps a range to another, upside down as well", () => {
    const y = scale([0, 10], [100, 0]);
    expect([0, 5, 10].map(y)).toEqual([100, 50, 0]);
  });

  it("puts a single value in the middle", () => {
    expect(scale([3, 3], [0, 100])(3)).toBe(50);
  });
});

describe("stepPath", () => {
  it("goes level until the next session, then to its total", () => {
    const points = [
      { at: 0, total: 0, score: 0 },
      { at: 10, total: 5, score: 5 },
      { at: 30, total: 2.04, score: -3 },
    ];
    expect(
      stepPath(
        points,
        (value) => value,
        (value) => 100 - value,
      ),
    ).toBe("M0 100H10V95H30V98");
    expect(stepPath([], Number, Number)).toBe("");
  });
});

describe("nearestPoint", () => {
  it("is the one next to an instant", () => {
    const points = [10, 20, 40].map((instant) => ({ at: instant, total: 0, score: 0 }));
    expect([-5, 14, 16, 31, 99].map((instant) => nearestPoint(points, instant)?.at)).toEqual([10, 10, 20, 40, 40]);
    expect(nearestPoint([], 5)).toBeUndefined();
  });
});
