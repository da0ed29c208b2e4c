import { useSyncExternalStore } from "react";
import { reads, sockets } from "../api/client.ts";
import type { Refusal } from "../api/refusalState.ts";
import { Instant } from "../text/Instant.tsx";

/** What keeps this page from reading at the moment, if anything does. */
export function useRefusal(): Refusal | null {
  return useSyncExternalStore(reads.subscribe, reads.get);
}

/** Above what is shown: why nothing newer comes, and when it will. */
export function Refused() {
  const ofReads = useRefusal();
  const ofSockets = useSyncExternalStore(sockets.subscribe, sockets.get);
  const refusal = ofReads ?? ofSockets;
  if (refusal === null) return null;
  const again = <Instant at={new Date(refusal.until).toISOString()} as="clock" />;
  return (
    <p className="notice notice-refused" role="status">
      {refusal.name === "full" ? (
        <>
          The service has no room for another live connection right now, so the board is read every few seconds instead.
          The next try to go live is at {again}.
        </>
      ) : (
        <>
          Your network has asked for a lot in the last minute, so the service takes a short break from it. This page
          goes on by itself at {again}.
        </>
      )}
    </p>
  );
}

/** Instead of everything, where the board is not open to this page. */
export function ClosedBoard({ until }: { readonly until: number }) {
  return (
    <section aria-labelledby="board-title" className="board">
      <h1 id="board-title" tabIndex={-1}>
        Leaderboard
      </h1>
      <div className="notice notice-empty" role="status">
        <p>
          <strong>This service shows its board only to those with a credential.</strong> This page has none that is good
          here. It asks again at <Instant at={new Date(until).toISOString()} as="clock" />; programs that have one read
          the board through the API.
        </p>
      </div>
    </section>
  );
}
