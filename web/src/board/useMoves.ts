import { useLayoutEffect, useRef, type RefObject } from "react";
import type { RowFragment } from "../api/operations.ts";
import { movesBetween } from "./moves.ts";

const MOVE_MS = 520;
const ENTER_MS = 420;
const EASING = "cubic-bezier(0.22, 0.8, 0.24, 1)";
const ANIMATION_ID = "move";

/** Lets the rows of a table's body glide to their new places whenever `rows` changed (FLIP, by Paul Lewis). */
export function useMoves(body: RefObject<HTMLTableSectionElement | null>, rows: readonly RowFragment[]): void {
  const tops = useRef<ReadonlyMap<string, number>>(new Map());
  useLayoutEffect(() => {
    if (body.current === null) return;
    const elements = new Map([...body.current.rows].map((row) => [row.dataset["player"] ?? "", row]));
    const after = new Map([...elements].map(([key, row]) => [key, row.offsetTop]));
    if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) {
      const { moved, entered } = movesBetween(tops.current, after, underWay(elements));
      for (const [key, distance] of moved) glide(elements.get(key), distance);
      for (const key of entered) fadeIn(elements.get(key));
    }
    tops.current = after;
  }, [body, rows]);
}

function underWay(elements: ReadonlyMap<string, HTMLElement>): Map<string, number> {
  const distances = new Map<string, number>();
  for (const [key, element] of elements) {
    if (element.getAnimations().length === 0) continue;
    distances.set(key, new DOMMatrixReadOnly(getComputedStyle(element).transform).m42);
  }
  return distances;
}

function glide(element: HTMLElement | undefined, distance: number): void {
  if (element === undefined) return;
  for (const animation of element.getAnimations()) {
    if (animation.id === ANIMATION_ID) animation.cancel();
  }
  element.animate([{ transform: `translateY(${distance}px)` }, { transform: "none" }], {
    id: ANIMATION_ID,
    duration: MOVE_MS,
    easing: EASING,
  });
}

function fadeIn(element: HTMLElement | undefined): void {
  element?.animate(
    [
      { opacity: 0, transform: "translateY(12px)" },
      { opacity: 1, transform: "none" },
    ],
    {
      id: ANIMATION_ID,
      duration: ENTER_MS,
      easing: EASING,
    },
  );
}
