import type { CombinedError } from "urql";

const PASSING_CODES: readonly unknown[] = ["UNAVAILABLE", "RATE_LIMITED"];

/** What went wrong, in the service's own words where it said any. */
export function problemOf(error: CombinedError): string {
  const [first] = error.graphQLErrors;
  return first === undefined ? "The service does not answer." : first.message;
}

/** Whether the very same request may succeed later. */
export function mayPass(error: CombinedError): boolean {
  const [first] = error.graphQLErrors;
  return first === undefined || PASSING_CODES.includes(first.extensions["code"]);
}
