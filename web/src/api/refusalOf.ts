import type { CombinedError } from "urql";
import { CLOSED_WAIT_S, type RefusalName } from "./refusalState.ts";

const CODES: Readonly<Record<string, RefusalName>> = {
  RATE_LIMITED: "limited",
  UNAUTHENTICATED: "closed",
  FORBIDDEN: "closed",
};
/** The service counts by the minute. */
const LIMITED_WAIT_S = 60;

/** The refusal to let this page read, and after how many seconds it may ask again; null for any other failure, or none. */
export function refusalOf(
  error: CombinedError | undefined,
): { readonly name: RefusalName; readonly waitS: number } | null {
  const { code, retryAfter } = error?.graphQLErrors[0]?.extensions ?? {};
  const name = typeof code === "string" ? CODES[code] : undefined;
  if (name === undefined) return null;
  if (name === "closed") return { name, waitS: CLOSED_WAIT_S };
  return { name, waitS: typeof retryAfter === "number" ? retryAfter : LIMITED_WAIT_S };
}
