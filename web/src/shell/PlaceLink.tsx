import type { AnchorHTMLAttributes, MouseEvent } from "react";
import { navigate } from "./navigation.ts";
import { hrefOf, type Place } from "./place.ts";

interface Props extends AnchorHTMLAttributes<HTMLAnchorElement> {
  readonly to: Place;
  readonly trail?: readonly string[];
}

/** A link inside the board: a real address, followed without loading the page again. */
export function PlaceLink({ to, trail, children, ...rest }: Props) {
  const follow = (event: MouseEvent) => {
    const opensElsewhere = event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
    if (opensElsewhere) return;
    event.preventDefault();
    navigate(to, trail);
  };
  return (
    <a href={hrefOf(to)} onClick={follow} {...rest}>
      {children}
    </a>
  );
}
