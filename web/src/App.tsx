import { Suspense, use, useSyncExternalStore } from "react";
import { connection } from "./api/client.ts";
import { useLiveTop } from "./api/useLiveTop.ts";
import { LiveTop } from "./board/LiveTop.tsx";
import { LowerPage } from "./board/LowerPage.tsx";
import { ClosedBoard, Refused, useRefusal } from "./board/Refused.tsx";
import { PlayerView } from "./player/PlayerView.tsx";
import type { Settings } from "./settings.ts";
import { Header } from "./shell/Header.tsx";
import { usePlace } from "./shell/navigation.ts";
import type { Place } from "./shell/place.ts";
import { useFocusOnArrival } from "./shell/useFocusOnArrival.ts";
import { SubmitScore } from "./submit/SubmitScore.tsx";

interface Props {
  readonly settings: Promise<Settings>;
}

export function App({ settings }: Props) {
  const place = usePlace();
  const state = useSyncExternalStore(connection.subscribe, connection.get);
  // Kept up on every view, so that the light is true everywhere and the way back shows the board at once.
  const live = useLiveTop(place.show);
  const best = live?.entries[0]?.totalScore;
  const refusal = useRefusal();
  useFocusOnArrival(viewOf(place));
  return (
    <>
      <a className="skip" href="#main">
        Skip to the board
      </a>
      <Header connection={state} show={place.show} />
      <div className="columns">
        <main id="main" tabIndex={-1}>
          {refusal?.name === "closed" ? (
            <ClosedBoard until={refusal.until} />
          ) : (
            <>
              <Refused />
              {place.view === "top" && <LiveTop live={live} isLive={state.name === "live"} show={place.show} />}
              {place.view === "page" && <LowerPage after={place.after} show={place.show} best={best} />}
              {place.view === "player" && (
                <PlayerView key={place.userId} userId={place.userId} show={place.show} best={best} />
              )}
            </>
          )}
        </main>
        <Suspense>
          <Offered settings={settings} place={place} />
        </Suspense>
      </div>
    </>
  );
}

/** What only some set-ups offer. */
function Offered({ settings, place }: Props & { readonly place: Place }) {
  const { submit, graphiql } = use(settings);
  return (
    <>
      {submit && (
        <aside className="side" aria-labelledby="submit-title">
          <SubmitScore show={place.show} />
        </aside>
      )}
      {graphiql && (
        <footer className="site-footer">
          <a href="/graphql">Explore the API in GraphiQL</a>
        </footer>
      )}
    </>
  );
}

function viewOf(place: Place): string {
  if (place.view === "player") return `player ${place.userId}`;
  return place.view === "page" ? `page ${place.after}` : "top";
}
