import { format } from "../text/format.ts";

const MEDALS = ["gold", "silver", "bronze"] as const;

/** Whether a rank is one of the first three. */
export function hasMedal(rank: number | null): boolean {
  return rank !== null && rank <= MEDALS.length;
}

interface Props {
  /** Null while ranks are unavailable. */
  readonly rank: number | null;
  readonly tied: boolean;
}

/** A rank: a medal for the first three, a sign for those who share theirs. */
export function Rank({ rank, tied }: Props) {
  if (rank === null) {
    return (
      <span className="rank rank-none">
        <span aria-hidden="true">–</span>
        <span className="hidden">unavailable</span>
      </span>
    );
  }
  const medal = MEDALS[rank - 1];
  return (
    <span className={medal === undefined ? "rank" : `rank medal medal-${medal}`}>
      {format.number(rank)}
      {tied && (
        <>
          <span aria-hidden="true" className="tie" title="Shares this rank">
            =
          </span>
          <span className="hidden">, shared</span>
        </>
      )}
    </span>
  );
}
