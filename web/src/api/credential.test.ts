import { describe, expect, it } from "vitest";
import { authorized, authorizedUnlessTyped } from "./credential.ts";

describe("authorized", () => {
  it("is nothing without a key", () => {
    expect(authorized(undefined)).toEqual({});
    expect(authorized("k")).toEqual({ authorization: "Bearer k" });
  });
});

describe("authorizedUnlessTyped", () => {
  it("adds the key to what was typed", () => {
    expect(authorizedUnlessTyped(undefined, "k")).toEqual({ authorization: "Bearer k" });
    expect(authorizedUnlessTyped({ "X-Trace": "1" }, "k")).toEqual({ "X-Trace": "1", authorization: "Bearer k" });
  });

  it.each(["authorization", "Authorization", "AUTHORIZATION"])("lets a typed %s win, alone", (name) => {
    expect(authorizedUnlessTyped({ [name]: "Bearer mine" }, "k")).toEqual({ [name]: "Bearer mine" });
  });

  it("leaves what was typed alone where there is no key", () => {
    expect(authorizedUnlessTyped({ "X-Trace": "1" }, undefined)).toEqual({ "X-Trace": "1" });
  });
});
