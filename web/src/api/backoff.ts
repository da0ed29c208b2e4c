const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/**
 * How long to wait before the attempt after `retries` failed ones, in milliseconds.
 *
 * Half of it is chance (`random` is 0..1), or all browsers of a service that was away would come back at once.
 */
export function backoffMs(retries: number, random: number): number {
  const full = Math.min(FIRST_WAIT_MS * 2 ** retries, LONGEST_WAIT_MS);
  return full / 2 + (full / 2) * random;
}

/** Resolves after `ms`, or as soon as the browser comes online or the tab comes to the front. */
export async function waitOrWake(ms: number): Promise<void> {
  const waking = new AbortController();
  try {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      const wake = () => {
        clearTimeout(timer);
        resolve();
      };
      const options = { signal: waking.signal };
      window.addEventListener("online", wake, options);
      document.addEventListener(
        "visibilitychange",
        () => {
          if (document.visibilityState === "visible") wake();
        },
        options,
      );
    });
  } finally {
    waking.abort();
  }
}
