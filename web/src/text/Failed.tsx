import type { CombinedError } from "urql";
import { refusalOf } from "../api/refusalOf.ts";
import { mayPass, problemOf } from "./problem.ts";

interface Props {
  /** What could not be shown, as the start of a sentence. */
  readonly what: string;
  readonly error: CombinedError;
  readonly retry: () => void;
}

/** Stands where something could not be loaded and nothing older is known. */
export function Failed({ what, error, retry }: Props) {
  // The page itself says why that is, and when it goes on.
  if (refusalOf(error) !== null) return <p className="notice">{what} will show here then.</p>;
  return (
    <div className="notice notice-failed" role="alert">
      <p>
        <strong>{what} could not be loaded.</strong> {problemOf(error)}
      </p>
      {mayPass(error) && (
        <p>
          It is tried again every few seconds.{" "}
          <button type="button" onClick={retry}>
            Try again
          </button>
        </p>
      )}
    </div>
  );
}
