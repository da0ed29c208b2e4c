import { useEffect, useEffectEvent, useRef, useState } from "react";
import type { RowFragment } from "../api/operations.ts";
import { newsOf } from "./announce.ts";

/** A board that moves ten times a second must not be read out ten times a second. */
export const NEWS_EVERY_MS = 15_000;

/** What changed in `rows`, as text for a live region: at most one every `NEWS_EVERY_MS`, summing up what came between. */
export function useNews(rows: readonly RowFragment[]): string {
  const [news, setNews] = useState("");
  const told = useRef(rows);
  const tell = useEffectEvent(() => {
    const text = newsOf(told.current, rows);
    told.current = rows;
    if (text !== "") setNews(text);
  });
  useEffect(() => {
    // The first rows are no news, but what changes after them is.
    if (told.current.length === 0) told.current = rows;
  }, [rows]);
  useEffect(() => {
    const timer = setInterval(tell, NEWS_EVERY_MS);
    return () => {
      clearInterval(timer);
    };
  }, []);
  return news;
}
