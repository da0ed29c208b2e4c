import { describe, expect, it } from "vitest";
import { rowsOf } from "../testing/rows.ts";
import { CHANGED_FOR_MS, noteChanges, withoutExpired, type Changes } from "./changes.ts";

const NONE: Changes = new Map();
const NOW = 1_000_000;
const UNTIL = NOW + CHANGED_FOR_MS;

describe("noteChanges", () => {
  it("marks who scored, with what it brought, and not who was overtaken", () => {
    const marks = noteChanges(
      NONE,
      rowsOf(["1", 30], ["2", 20], ["3", 10]),
      rowsOf(["3", 35], ["1", 30], ["2", 20]),
      NOW,
    );
    expect([...marks]).toEqual([["3", { scoreDelta: 25, rankGain: 2, entered: false, until: UNTIL }]]);
  });

  it("marks a lost total as such", () => {
    const marks = noteChanges(NONE, rowsOf(["1", 30], ["2", 20]), rowsOf(["2", 20], ["1", 5]), NOW);
    expect([...marks]).toEqual([["1", { scoreDelta: -25, rankGain: -1, entered: false, until: UNTIL }]]);
  });

  it("adds up while a mark is there, and starts anew after it", () => {
    const first = noteChanges(NONE, rowsOf(["1", 10]), rowsOf(["1", 15]), NOW);
    const second = noteChanges(first, rowsOf(["1", 15]), rowsOf(["1", 22]), NOW + 1000);
    expect(second.get("1")).toEqual({ scoreDelta: 12, rankGain: 0, entered: false, until: UNTIL + 1000 });
    const later = noteChanges(second, rowsOf(["1", 22]), rowsOf(["1", 23]), UNTIL + 1000);
    expect(later.get("1")?.scoreDelta).toBe(1);
  });

  it("keeps a valid mark of a row that did not change again", () => {
    const marks = noteChanges(NONE, rowsOf(["1", 10], ["2", 5]), rowsOf(["1", 15], ["2", 5]), NOW);
    const next = noteChanges(marks, rowsOf(["1", 15], ["2", 5]), rowsOf(["1", 15], ["2", 6]), NOW + 1);
    expect(next.get("1")).toBe(marks.get("1"));
    expect(noteChanges(next, rowsOf(["1", 15]), rowsOf(["1", 15]), UNTIL + 1).size).toBe(0);
  });

  it("marks who entered against others, not rows that were asked for or came at the end", () => {
    const before = rowsOf(["1", 30], ["2", 20]);
    expect([...noteChanges(NONE, before, rowsOf(["1", 30], ["9", 25]), NOW)]).toEqual([
      ["9", { scoreDelta: 0, rankGain: 0, entered: true, until: UNTIL }],
    ]);
    expect(noteChanges(NONE, before, rowsOf(["1", 30], ["2", 20], ["3", 10]), NOW).size).toBe(0);
    expect(noteChanges(NONE, [], before, NOW).size).toBe(0);
  });

  it("claims no places gained while ranks are unavailable", () => {
    const [row] = rowsOf(["1", 30]);
    if (row === undefined) throw new Error("no row");
    const marks = noteChanges(NONE, [row], [{ ...row, rank: null, totalScore: 31 }], NOW);
    expect(marks.get("1")).toEqual({ scoreDelta: 1, rankGain: 0, entered: false, until: UNTIL });
  });
});

describe("withoutExpired", () => {
  it("drops marks at their time, and makes no new map where none is due", () => {
    const marks = noteChanges(NONE, rowsOf(["1", 30]), rowsOf(["1", 31]), NOW);
    expect(withoutExpired(marks, UNTIL - 1)).toBe(marks);
    expect(withoutExpired(marks, UNTIL).size).toBe(0);
  });
});
