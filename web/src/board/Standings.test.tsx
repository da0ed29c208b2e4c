import { act, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { RowFragment } from "../api/operations.ts";
import { rowsOf } from "../testing/rows.ts";
import { CHANGED_FOR_MS } from "./changes.ts";
import { Standings } from "./Standings.tsx";

const table = (rows: readonly RowFragment[], currentId?: string) => (
  <Standings rows={rows} caption="The top" show={10} best={rows[0]?.totalScore} currentId={currentId} />
);

const bodyRows = () => screen.getAllByRole("row").slice(1);

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe("Standings", () => {
  it("is a table with a caption, column headers and a row header for each player", () => {
    render(table(rowsOf(["1", 1300], ["2", 1200])));
    expect(screen.getByRole("table", { name: "The top" })).toBeInTheDocument();
    expect(screen.getAllByRole("columnheader").map((header) => header.textContent)).toEqual([
      "Rank",
      "Player",
      "Games",
      "Last played",
      "Total",
    ]);
    const link = screen.getByRole("link", { name: "Player 2" });
    expect(link.closest("th")).toHaveAttribute("scope", "row");
    expect(link).toHaveAttribute("href", "/?player=2");
  });

  it("marks a changed total, then lets the mark go", () => {
    const { rerender } = render(table(rowsOf(["1", 1300], ["2", 1200])));
    rerender(table(rowsOf(["2", 1350], ["1", 1300])));
    expect(bodyRows()[0]).toHaveClass("row-changed");
    expect(screen.getByText("+150")).toHaveTextContent("▲1+150");
    expect(bodyRows()[1]).not.toHaveClass("row-changed");
    act(() => {
      vi.advanceTimersByTime(CHANGED_FOR_MS - 1);
    });
    expect(bodyRows()[0]).toHaveClass("row-changed");
    act(() => {
      vi.advanceTimersByTime(1);
    });
    expect(bodyRows()[0]).not.toHaveClass("row-changed");
    expect(screen.queryByText("+150")).toBeNull();
  });

  it("calls a player new who came in between", () => {
    const { rerender } = render(table(rowsOf(["1", 1300], ["2", 1200])));
    rerender(table(rowsOf(["1", 1300], ["9", 1250])));
    expect(screen.getByText("new").closest("tr")).toBe(bodyRows()[1]);
  });

  it("says that a rank is shared or unavailable", () => {
    const rows = rowsOf(["1", 5], ["2", 5], ["3", 1]);
    render(table(rows.map((row) => (row.userId === "3" ? { ...row, rank: null } : row))));
    expect(
      screen
        .getAllByRole("cell")
        .filter((cell) => cell.className === "cell-rank")
        .map((cell) => cell.textContent),
    ).toEqual(["1=, shared", "1=, shared", "–unavailable"]);
  });

  it("isolates names of any direction and says which row it is about", () => {
    const [row] = rowsOf(["7", 5]);
    if (row === undefined) throw new Error("no row");
    render(table([{ ...row, username: "\u202eשחקן" }], "7"));
    const name = screen.getByText("\u202eשחקן");
    expect(name.tagName).toBe("BDI");
    expect(name).toHaveAttribute("dir", "auto");
    expect(bodyRows()[0]).toHaveAttribute("aria-current", "true");
  });
});
