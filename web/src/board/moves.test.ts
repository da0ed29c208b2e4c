import { describe, expect, it } from "vitest";
import { movesBetween } from "./moves.ts";

const tops = (places: Record<string, number>) => new Map(Object.entries(places));

describe("movesBetween", () => {
  it("sends each moved row on its way from where it was", () => {
    const moves = movesBetween(tops({ a: 0, b: 50, c: 100 }), tops({ c: 0, a: 50, b: 100 }), tops({}));
    expect([...moves.moved]).toEqual([
      ["c", 100],
      ["a", -50],
      ["b", -50],
    ]);
    expect(moves.entered).toEqual([]);
  });

  it("leaves alone what stays", () => {
    const moves = movesBetween(tops({ a: 0, b: 50, c: 100 }), tops({ a: 0, c: 50, b: 100 }), tops({}));
    expect([...moves.moved.keys()]).toEqual(["c", "b"]);
  });

  it("starts a row that is still moving where it is seen", () => {
    const moves = movesBetween(tops({ a: 0, b: 50 }), tops({ b: 0, a: 50 }), tops({ b: 20 }));
    expect([...moves.moved]).toEqual([
      ["b", 70],
      ["a", -50],
    ]);
  });

  it("lets a move that is under way go on where the place did not change", () => {
    expect(movesBetween(tops({ a: 0 }), tops({ a: 0 }), tops({ a: 30 })).moved.size).toBe(0);
  });

  it("names rows that were not there, but moves nothing on the first showing", () => {
    expect(movesBetween(tops({ a: 0 }), tops({ a: 0, b: 50 }), tops({})).entered).toEqual(["b"]);
    expect(movesBetween(tops({}), tops({ a: 0, b: 50 }), tops({}))).toEqual({ moved: new Map(), entered: [] });
  });
});
