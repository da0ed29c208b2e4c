import "@testing-library/jest-dom/vitest";
import { cleanup } from "@testing-library/react";
import { afterEach } from "vitest";

// jsdom lays nothing out: nothing has a place to move from or a width to follow. Real browsers are tests/web's part.
window.matchMedia = (query) => Object.assign(new EventTarget(), { media: query, matches: true }) as MediaQueryList;
window.ResizeObserver = class {
  observe() {
    return;
  }
  unobserve() {
    return;
  }
  disconnect() {
    return;
  }
};

afterEach(cleanup);
