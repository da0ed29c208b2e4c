import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ConnectionStore, STALE_AFTER_MS } from "./connectionState.ts";

const START = Date.UTC(2026, 10, 23, 10, 0, 0);

beforeEach(() => {
  vi.useFakeTimers({ now: START });
});

afterEach(() => {
  vi.useRealTimers();
});

describe("ConnectionStore", () => {
  it("is live with the first data, and not before", () => {
    const store = new ConnectionStore();
    expect(store.get()).toEqual({ name: "connecting", since: START });
    vi.advanceTimersByTime(200);
    store.live();
    expect(store.get()).toEqual({ name: "live", since: START + 200 });
  });

  it("reconnects for a while, then is stale since the connection was lost", () => {
    const store = new ConnectionStore();
    store.live();
    vi.advanceTimersByTime(60_000);
    store.lost();
    expect(store.get()).toEqual({ name: "reconnecting", since: START + 60_000 });
    vi.advanceTimersByTime(STALE_AFTER_MS - 1);
    expect(store.get().name).toBe("reconnecting");
    // Further failed attempts make it neither younger nor "reconnecting" again.
    store.lost();
    vi.advanceTimersByTime(1);
    expect(store.get()).toEqual({ name: "stale", since: START + 60_000 });
    store.lost();
    expect(store.get()).toEqual({ name: "stale", since: START + 60_000 });
  });

  it("is live again, and no old timer makes it stale", () => {
    const store = new ConnectionStore();
    store.live();
    store.lost();
    vi.advanceTimersByTime(5_000);
    store.live();
    vi.advanceTimersByTime(STALE_AFTER_MS * 2);
    expect(store.get()).toEqual({ name: "live", since: START + 5_000 });
  });

  it("is stale where no connection ever came about", () => {
    const store = new ConnectionStore();
    vi.advanceTimersByTime(STALE_AFTER_MS);
    expect(store.get()).toEqual({ name: "stale", since: START });
  });

  it("tells of changes alone, to those who still listen", () => {
    const store = new ConnectionStore();
    const listener = vi.fn();
    const leave = store.subscribe(listener);
    store.live();
    store.live();
    expect(listener).toHaveBeenCalledTimes(1);
    leave();
    store.lost();
    expect(listener).toHaveBeenCalledTimes(1);
  });
});
