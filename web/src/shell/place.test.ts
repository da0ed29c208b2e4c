import { describe, expect, it } from "vitest";
import { hrefOf, placeOf, type Place } from "./place.ts";
import { parsePlayerId } from "./playerId.ts";

describe("places", () => {
  it.each<[string, Place]>([
    ["/", { view: "top", show: 10 }],
    ["/?show=25", { view: "top", show: 25 }],
    ["/?player=-9223372036854775808", { view: "player", show: 10, userId: "-9223372036854775808" }],
    ["/?after=AA_-b%2B%3D&show=100", { view: "page", show: 100, after: "AA_-b+=" }],
  ])("%s goes there and back", (href, place) => {
    expect(placeOf(href.slice(1))).toEqual(place);
    expect(hrefOf(place)).toBe(href);
  });

  it.each(["?show=7", "?player=abc", "?after=", "?else=1", "?player=9223372036854775808"])(
    "%s is the top",
    (search) => {
      expect(placeOf(search)).toEqual({ view: "top", show: 10 });
    },
  );
});

describe("parsePlayerId", () => {
  it.each([
    ["42", "42"],
    [" +042 ", "42"],
    ["-7", "-7"],
    ["-0", "0"],
    ["9223372036854775807", "9223372036854775807"],
    ["9223372036854775808", null],
    ["-9223372036854775809", null],
    ["", null],
    ["4 2", null],
    ["4.2", null],
    ["٤٢", null],
  ])("%j is %j", (typed, id) => {
    expect(parsePlayerId(typed)).toBe(id);
  });
});
