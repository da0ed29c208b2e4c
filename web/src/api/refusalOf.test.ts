import { CombinedError } from "urql";
import { describe, expect, it } from "vitest";
import { refusalOf } from "./refusalOf.ts";

function failure(extensions: Record<string, unknown>): CombinedError {
  return new CombinedError({ graphQLErrors: [{ message: "no", extensions }] });
}

describe("refusalOf", () => {
  it("waits as long as the service says", () => {
    expect(refusalOf(failure({ code: "RATE_LIMITED", retryAfter: 17 }))).toEqual({ name: "limited", waitS: 17 });
  });

  it("waits for the next minute where the service does not say", () => {
    expect(refusalOf(failure({ code: "RATE_LIMITED" }))).toEqual({ name: "limited", waitS: 60 });
  });

  it.each(["UNAUTHENTICATED", "FORBIDDEN"])("takes %s for a board that is not open to this page", (code) => {
    expect(refusalOf(failure({ code }))).toEqual({ name: "closed", waitS: 60 });
  });

  it("leaves other failures alone", () => {
    expect(refusalOf(undefined)).toBeNull();
    expect(refusalOf(failure({ code: "UNAVAILABLE" }))).toBeNull();
    expect(refusalOf(failure({}))).toBeNull();
    expect(refusalOf(new CombinedError({ networkError: new Error("gone") }))).toBeNull();
  });
});
