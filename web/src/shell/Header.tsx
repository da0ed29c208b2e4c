import type { ConnectionState } from "../api/connectionState.ts";
import { ConnectionLight } from "./ConnectionLight.tsx";
import { FindPlayer } from "./FindPlayer.tsx";
import { PlaceLink } from "./PlaceLink.tsx";
import type { PageSize } from "./place.ts";

interface Props {
  readonly connection: ConnectionState;
  readonly show: PageSize;
}

export function Header({ connection, show }: Props) {
  return (
    <header className="site-header">
      <PlaceLink className="brand" to={{ view: "top", show }}>
        <Mark />
        Shardboard
      </PlaceLink>
      <ConnectionLight state={connection} />
      <FindPlayer show={show} />
    </header>
  );
}

/** Three shards, the tallest in the middle: the same as favicon.svg. */
function Mark() {
  return (
    <svg className="brand-mark" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
      <path className="mark-left" d="M3 17 11 12v17H3z" />
      <path className="mark-middle" d="m12 9 8-6v26h-8z" />
      <path className="mark-right" d="m21 15 8 5v9h-8z" />
    </svg>
  );
}
