import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RefusalStore } from "./refusalState.ts";

const START = Date.UTC(2026, 10, 23, 10, 0, 0);

beforeEach(() => {
  vi.useFakeTimers({ now: START });
});

afterEach(() => {
  vi.useRealTimers();
});

describe("RefusalStore", () => {
  it("waits as long as the service said, and a little more by chance", () => {
    const early = new RefusalStore(() => 0);
    early.refused("limited", 12);
    expect(early.get()).toEqual({ name: "limited", until: START + 12_000 });
    const late = new RefusalStore(() => 0.5);
    late.refused("limited", 12);
    expect(late.get()?.until).toBe(START + 13_000);
  });

  it("stands until it is lifted, also when its time is over", () => {
    const store = new RefusalStore(() => 0);
    store.refused("closed", 60);
    vi.advanceTimersByTime(60_000);
    expect(store.waitMs()).toBe(0);
    expect(store.get()?.name).toBe("closed");
    store.lifted();
    expect(store.get()).toBeNull();
  });

  it("is over at once where nothing was refused", async () => {
    await new RefusalStore().over();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is over later when it was put off", async () => {
    const store = new RefusalStore(() => 0);
    store.refused("limited", 10);
    let over = false;
    void store.over().then(() => {
      over = true;
    });
    await vi.advanceTimersByTimeAsync(9_000);
    store.refused("limited", 10);
    await vi.advanceTimersByTimeAsync(9_999);
    expect(over).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(over).toBe(true);
  });

  it("tells of changes alone, to those who still listen", () => {
    const store = new RefusalStore(() => 0);
    const listener = vi.fn();
    const leave = store.subscribe(listener);
    store.lifted();
    store.refused("full", 30);
    store.lifted();
    expect(listener).toHaveBeenCalledTimes(2);
    leave();
    store.refused("full", 30);
    expect(listener).toHaveBeenCalledTimes(2);
  });
});
