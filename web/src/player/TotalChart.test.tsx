import { render, screen } from "@testing-library/react";
import { expect, it } from "vitest";
import { TotalChart } from "./TotalChart.tsx";

const SESSIONS = [
  { score: -50, playedAt: "2026-11-23T12:00:00Z" },
  { score: 300, playedAt: "2026-11-22T12:00:00Z" },
  { score: 1000, playedAt: "2026-11-20T12:00:00Z" },
];

it("says in words what the drawing shows", () => {
  render(<TotalChart sessions={SESSIONS} sessionCount={3} total={1250} />);
  const words = "3 games, since Nov 20, 2026, took the total from 0 to 1,250. The highest was 1,300 on Nov 22, 2026.";
  expect(screen.getByRole("img", { name: words })).toBeInTheDocument();
  expect(screen.getByRole("figure")).toHaveTextContent(words);
});

it("says that older games are not in it", () => {
  render(<TotalChart sessions={SESSIONS.slice(0, 2)} sessionCount={3} total={1250} />);
  expect(screen.getByRole("figure")).toHaveTextContent(
    "The last 2 of 3 games, since Nov 22, 2026, took the total from 1,000 to 1,250.",
  );
});

it("draws nothing of one game or none", () => {
  const { rerender } = render(<TotalChart sessions={SESSIONS.slice(2)} sessionCount={1} total={1000} />);
  expect(screen.getByRole("figure")).toHaveTextContent(/^One game, on Nov 20, 2026, .*, brought 1,000\.$/);
  expect(screen.queryByRole("img")).toBeNull();
  rerender(<TotalChart sessions={[]} sessionCount={0} total={0} />);
  expect(screen.getByText("No game of this player is kept.")).toBeInTheDocument();
});
