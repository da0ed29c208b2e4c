import { render, screen } from "@testing-library/react";
import { expect, it } from "vitest";
import { format } from "../text/format.ts";
import { ConnectionLight } from "./ConnectionLight.tsx";

const SINCE = Date.UTC(2026, 10, 23, 10, 15, 0);

it.each([
  ["connecting", "Connecting…"],
  ["live", "Live"],
  ["reconnecting", "Reconnecting…"],
  ["stale", `Stale since ${format.clock(new Date(SINCE))}`],
] as const)("%s is said in words, to screen readers as well", (name, words) => {
  render(<ConnectionLight state={{ name, since: SINCE }} />);
  expect(screen.getByRole("status")).toHaveTextContent(`Connection: ${words}`);
});
