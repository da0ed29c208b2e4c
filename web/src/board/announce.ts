import type { RowFragment } from "../api/operations.ts";
import { format } from "../text/format.ts";

/** One sentence or two of what changed between two tops; empty when no total and no leader did. */
export function newsOf(before: readonly RowFragment[], after: readonly RowFragment[]): string {
  const earlier = new Map(before.map((row) => [row.userId, row.totalScore]));
  const changed = after.filter((row) => earlier.get(row.userId) !== row.totalScore);
  const leader = after[0];
  if (leader === undefined || before.length === 0 || changed.length === 0) return "";
  const leads = `${leader.username} ${leader.userId === before[0]?.userId ? "leads" : "now leads"} with ${format.number(leader.totalScore)}.`;
  const [only] = changed;
  if (changed.length > 1 || only === undefined) return `${leads} ${format.number(changed.length)} players changed.`;
  if (only === leader) return leads;
  const rank = only.rank === null ? "" : ` at rank ${format.number(only.rank)}`;
  return `${only.username} has ${format.number(only.totalScore)}${rank}. ${leads}`;
}
