import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { backoffMs, waitOrWake } from "./backoff.ts";

describe("backoffMs", () => {
  it("doubles up to a limit", () => {
    expect([0, 1, 2, 3, 4, 5, 50].map((retries) => backoffMs(retries, 1))).toEqual([
      500, 1000, 2000, 4000, 8000, 15_000, 15_000,
    ]);
  });

  it("spreads attempts over half of the wait", () => {
    expect([0, 0.5, 1].map((random) => backoffMs(1, random))).toEqual([500, 750, 1000]);
  });
});

describe("waitOrWake", () => {
  let visibility: DocumentVisibilityState = "visible";
  beforeEach(() => {
    vi.useFakeTimers();
    vi.spyOn(document, "visibilityState", "get").mockImplementation(() => visibility);
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  async function endsAfter(waiting: Promise<void>, ms: number): Promise<boolean> {
    let ended = false;
    void waiting.then(() => {
      ended = true;
    });
    await vi.advanceTimersByTimeAsync(ms);
    return ended;
  }

  it("waits its time", async () => {
    const waiting = waitOrWake(5000);
    expect(await endsAfter(waiting, 4999)).toBe(false);
    expect(await endsAfter(waiting, 1)).toBe(true);
  });

  it("ends as soon as the browser is online", async () => {
    const waiting = waitOrWake(5000);
    window.dispatchEvent(new Event("online"));
    expect(await endsAfter(waiting, 0)).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("ends when the tab comes to the front, not when it goes", async () => {
    const waiting = waitOrWake(5000);
    visibility = "hidden";
    document.dispatchEvent(new Event("visibilitychange"));
    expect(await endsAfter(waiting, 0)).toBe(false);
    visibility = "visible";
    document.dispatchEvent(new Event("visibilitychange"));
    expect(await endsAfter(waiting, 0)).toBe(true);
  });
});
