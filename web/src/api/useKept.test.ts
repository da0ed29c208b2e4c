import { renderHook } from "@testing-library/react";
import { expect, it } from "vitest";
import { useKept } from "./useKept.ts";

it("keeps what was known under a key while nothing newer is, and forgets it under another", () => {
  const { result, rerender } = renderHook(({ key, value }) => useKept(key, value), {
    initialProps: { key: "a", value: undefined as string | undefined },
  });
  const seen = [result.current];
  for (const props of [
    { key: "a", value: "one" },
    { key: "a", value: undefined },
    { key: "a", value: "two" },
    { key: "b", value: undefined },
    { key: "a", value: undefined },
  ]) {
    rerender(props);
    seen.push(result.current);
  }
  expect(seen).toEqual([undefined, "one", "one", "two", undefined, undefined]);
});
