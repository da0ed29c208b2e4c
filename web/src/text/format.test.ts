import { describe, expect, it } from "vitest";
import { makeFormats } from "./format.ts";

const english = makeFormats("en-US", "UTC");
const german = makeFormats("de-DE", "UTC");
/** Intl puts spaces of several kinds between parts, by version. */
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, " ");

describe("makeFormats", () => {
  it("writes numbers as the reader does", () => {
    expect(english.number(-9007199254740991)).toBe("-9,007,199,254,740,991");
    expect(german.number(1234567)).toBe("1.234.567");
    expect(makeFormats("hi-IN").number(1234567)).toBe("12,34,567");
  });

  it("gives gains and losses a sign, and nothing none", () => {
    expect([120, -120, 0].map(english.change)).toEqual(["+120", "-120", "0"]);
  });

  it("rounds a percentile down: 100 % is the leader's", () => {
    expect([100, 99.99999, 2.8109, 0].map(english.percentile)).toEqual(["100%", "99.99%", "2.81%", "0%"]);
    expect(plain(german.percentile(97.5))).toBe("97,5 %");
  });

  it("shortens numbers for scales", () => {
    expect([60_000, 1_250_000, -5].map(english.compact)).toEqual(["60K", "1.25M", "-5"]);
  });

  it("writes today as the clock, this year as the day, and else the whole date", () => {
    const now = new Date("2026-11-23T18:00:00Z");
    const recent = (at: string) => plain(english.recent(new Date(at), now));
    expect(recent("2026-11-23T14:03:00Z")).toBe("2:03 PM");
    expect(recent("2026-11-22T14:03:00Z")).toBe("Nov 22");
    expect(recent("2025-11-23T14:03:00Z")).toBe("Nov 23, 2025");
  });

  it("writes lengths in minutes and seconds", () => {
    expect([0, 59, 60, 258].map((length) => plain(english.duration(length)))).toEqual([
      "0 sec",
      "59 sec",
      "1 min",
      "4 min 18 sec",
    ]);
  });
});
