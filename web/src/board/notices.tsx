import type { RowFragment } from "../api/operations.ts";

/** Instead of a table, where nobody has played yet. */
export function EmptyBoard() {
  return (
    <div className="notice notice-empty">
      <p>
        <strong>Nobody is on the board yet.</strong> The first score that is submitted shows here at once; there is no
        need to load the page again.
      </p>
    </div>
  );
}

/** Above a table in which ranks are missing. */
export function RanksMissing({ rows }: { readonly rows: readonly RowFragment[] }) {
  if (rows.every((row) => row.rank !== null)) return null;
  return (
    <p className="notice" role="status">
      Ranks are not available at the moment; totals are. The ranks come back by themselves.
    </p>
  );
}
