import type { ConnectionState } from "../api/connectionState.ts";
import { Instant } from "../text/Instant.tsx";

/** Whether what is shown is current, and since when it is not. */
export function ConnectionLight({ state }: { readonly state: ConnectionState }) {
  return (
    <p className={`light light-${state.name}`} role="status">
      <span className="light-dot" aria-hidden="true" />
      <span className="hidden">Connection: </span>
      <span>{textOf(state)}</span>
    </p>
  );
}

function textOf(state: ConnectionState) {
  switch (state.name) {
    case "connecting":
      return "Connecting…";
    case "live":
      return "Live";
    case "reconnecting":
      return "Reconnecting…";
    case "stale":
      return (
        <>
          Stale since <Instant at={new Date(state.since).toISOString()} as="clock" />
        </>
      );
  }
}
