import type { RowFragment } from "../api/operations.ts";
import { noteChanges, withoutExpired, type Changes } from "./changes.ts";

/** Watches the rows of one board and holds the marks of what changed until their time is over. */
export class ChangeStore {
  #rows: readonly RowFragment[] = [];
  #marks: Changes = new Map();
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #listeners = new Set<() => void>();

  readonly get = (): Changes => this.#marks;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) clearTimeout(this.#timer);
    };
  };

  readonly see = (rows: readonly RowFragment[]): void => {
    if (rows === this.#rows) return;
    const marks = noteChanges(this.#marks, this.#rows, rows, Date.now());
    this.#rows = rows;
    if (marks.size > 0 || this.#marks.size > 0) this.#set(marks);
  };

  #set(marks: Changes): void {
    this.#marks = marks;
    clearTimeout(this.#timer);
    const next = Math.min(...[...marks.values()].map((mark) => mark.until));
    if (Number.isFinite(next)) {
      this.#timer = setTimeout(() => {
        this.#set(withoutExpired(this.#marks, Date.now()));
      }, next - Date.now());
    }
    for (const listener of this.#listeners) listener();
  }
}
