/** Why the service does not let this page in at the moment. */
export type RefusalName =
  /** Too much was asked from this address in too short a time. */
  | "limited"
  /** It wants a credential, and the page has none or one that is no longer good. */
  | "closed"
  /** It has no room for another socket. */
  | "full";

export interface Refusal {
  readonly name: RefusalName;
  /** Milliseconds since 1970 before which it is not asked again. */
  readonly until: number;
}

/** A refusal is repeated at most so often; operators open what was closed, and few pages wait for it. */
export const CLOSED_WAIT_S = 60;
export const FULL_WAIT_S = 30;

/** Pages of one address are let in again at the same moment: they come back within this time after it. */
const SPREAD_MS = 2_000;

/** The refusal under way, for `useSyncExternalStore`. It stands until the service does something else, not until its time is over. */
export class RefusalStore {
  #state: Refusal | null = null;
  readonly #listeners = new Set<() => void>();
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  readonly get = (): Refusal | null => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** The service refused, and is to be asked again after `waitS` seconds. */
  readonly refused = (name: RefusalName, waitS: number): void => {
    this.#set({ name, until: Date.now() + waitS * 1000 + SPREAD_MS * this.#random() });
  };

  /** The service does not refuse any longer. */
  readonly lifted = (): void => {
    if (this.#state !== null) this.#set(null);
  };

  /** How long to wait before asking again, in milliseconds. */
  readonly waitMs = (): number => Math.max(Math.ceil((this.#state?.until ?? 0) - Date.now()), 0);

  /** Resolves when the service may be asked again; at once where it refused nothing. */
  readonly over = async (): Promise<void> => {
    // It may be put off meanwhile.
    for (let ms = this.waitMs(); ms > 0; ms = this.waitMs()) await new Promise((resolve) => setTimeout(resolve, ms));
  };

  #set(state: Refusal | null): void {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}
