import { parsePlayerId } from "./playerId.ts";

/** How many rows a page may have; the first is the default. */
export const PAGE_SIZES = [10, 25, 50, 100] as const;
export type PageSize = (typeof PAGE_SIZES)[number];

/** What the address bar says is to be shown. */
export type Place =
  | { readonly view: "top"; readonly show: PageSize }
  | { readonly view: "page"; readonly show: PageSize; readonly after: string }
  | { readonly view: "player"; readonly show: PageSize; readonly userId: string };

/** The place of a query string; what it does not understand is the top. */
export function placeOf(search: string): Place {
  const query = new URLSearchParams(search);
  const wanted = Number(query.get("show"));
  const show = PAGE_SIZES.find((size) => size === wanted) ?? PAGE_SIZES[0];
  const userId = parsePlayerId(query.get("player") ?? "");
  if (userId !== null) return { view: "player", show, userId };
  const after = query.get("after");
  return after === null || after === "" ? { view: "top", show } : { view: "page", show, after };
}

/** The address of a place, the other way around. */
export function hrefOf(place: Place): string {
  const query = new URLSearchParams();
  if (place.view === "player") query.set("player", place.userId);
  if (place.view === "page") query.set("after", place.after);
  if (place.show !== PAGE_SIZES[0]) query.set("show", String(place.show));
  const text = query.toString();
  return text === "" ? "/" : `/?${text}`;
}
