/** What the service offers to this page, from its `/settings.json`. */
export interface Settings {
  /** Whether scores may be submitted from here: in the local set-up alone. */
  readonly submit: boolean;
  /** Whether a browser finds GraphiQL at /graphql. */
  readonly graphiql: boolean;
  /** What the page shows as its credential, where the service lends it one. */
  readonly key?: string;
}

const NOTHING: Settings = { submit: false, graphiql: false };
/** Everything that is read waits for the settings. */
const ANSWER_WITHIN_MS = 5_000;

/** The settings; where the service does not say, nothing is offered. */
export async function readSettings(): Promise<Settings> {
  try {
    const answer = await fetch("/settings.json", { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
    return answer.ok ? { ...NOTHING, ...((await answer.json()) as Partial<Settings>) } : NOTHING;
  } catch {
    return NOTHING;
  }
}
