/** What the light shows of the live connection, and since when. */
export interface ConnectionState {
  /** `reconnecting` turns into `stale` by itself; `connecting` is the first attempt of all. */
  readonly name: "connecting" | "live" | "reconnecting" | "stale";
  /** Milliseconds since 1970 of the last moment at which what is shown was known to be current. */
  readonly since: number;
}

/** How long a lost connection counts as "back in a moment" before what is shown is called stale. */
export const STALE_AFTER_MS = 10_000;

/** The state of the live connection for `useSyncExternalStore`; told of events, it knows nothing of sockets. */
export class ConnectionStore {
  #state: ConnectionState = { name: "connecting", since: Date.now() };
  readonly #listeners = new Set<() => void>();
  #staleTimer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.#awaitStale();
  }

  readonly get = (): ConnectionState => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** A message with data came. */
  readonly live = (): void => {
    if (this.#state.name === "live") return;
    clearTimeout(this.#staleTimer);
    this.#set({ name: "live", since: Date.now() });
  };

  /** The socket closed, or the service refused the subscription. */
  readonly lost = (): void => {
    if (this.#state.name !== "live") return;
    this.#set({ name: "reconnecting", since: Date.now() });
    this.#awaitStale();
  };

  #awaitStale(): void {
    this.#staleTimer = setTimeout(() => {
      this.#set({ name: "stale", since: this.#state.since });
    }, STALE_AFTER_MS);
  }

  #set(state: ConnectionState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}
