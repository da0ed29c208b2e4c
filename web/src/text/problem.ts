import type { CombinedError } from "urql";

/** What went wrong, in the service's own words where it said any. */
export function problemOf(error: CombinedError): string {
  const [first] = error.graphQLErrors;
  return first === undefined ? "The service does not answer." : first.message;
}
