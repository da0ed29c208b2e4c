import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { CombinedError, Provider, type Client } from "urql";
import { beforeEach, describe, expect, it } from "vitest";
import { fromValue } from "wonka";
import type { SubmitScoreMutation, SubmitScoreMutationVariables } from "../api/operations.ts";
import { SubmitScore } from "./SubmitScore.tsx";

type Answer = { readonly data: SubmitScoreMutation } | { readonly data?: null; readonly error: CombinedError };

const COUNTED: Answer = {
  data: {
    submitScore: { duplicate: false, standing: { rank: 3, userId: "7", username: "Grace", totalScore: 1900 } },
  },
};

function refused(message: string, code: string): Answer {
  return { data: null, error: new CombinedError({ graphQLErrors: [{ message, extensions: { code } }] }) };
}

let answers: Answer[];
let inputs: SubmitScoreMutationVariables["input"][];

/** Stands where the network would be. */
const client = {
  executeMutation: ({ variables }: { readonly variables: SubmitScoreMutationVariables }) => {
    inputs.push(variables.input);
    return fromValue(answers.shift());
  },
} as unknown as Client;

beforeEach(async () => {
  answers = [];
  inputs = [];
  render(
    <Provider value={client}>
      <SubmitScore show={10} />
    </Provider>,
  );
  await userEvent.type(screen.getByLabelText("Player id"), "7");
  await userEvent.type(screen.getByLabelText("Name"), "Grace");
  await userEvent.type(screen.getByLabelText("Score"), "900");
});

const submit = () => userEvent.click(screen.getByRole("button"));

describe("SubmitScore", () => {
  it("says where the player stands now", async () => {
    answers = [COUNTED];
    await submit();
    expect(screen.getByRole("status")).toHaveTextContent("Grace has 1,900, rank 3.");
    expect(screen.getByRole("link", { name: "Grace" })).toHaveAttribute("href", "/?player=7");
    expect(inputs).toEqual([
      {
        submissionId: expect.any(String) as string,
        userId: "7",
        username: "Grace",
        score: 900,
        gameMode: null,
        durationSeconds: null,
      },
    ]);
  });

  it("keeps the id for as long as it is not known that the game counts", async () => {
    answers = [
      { error: new CombinedError({ networkError: new Error("gone") }) },
      refused("shard2 does not answer.", "UNAVAILABLE"),
      COUNTED,
      COUNTED,
    ];
    await submit();
    expect(screen.getByRole("status")).toHaveTextContent(
      "The service does not answer. Trying again is safe: the same submission counts once.",
    );
    await submit();
    expect(screen.getByRole("status")).toHaveTextContent("shard2 does not answer.");
    expect(screen.getByRole("button")).toHaveTextContent("Try again");
    expect(screen.getByLabelText("Score")).toHaveValue(900);
    await submit();
    expect(screen.getByLabelText("Score")).toHaveValue(null);
    await userEvent.type(screen.getByLabelText("Score"), "900");
    await submit();
    const [first, second, third, fourth] = inputs.map((input) => input.submissionId);
    expect([second, third]).toEqual([first, first]);
    expect(fourth).not.toBe(first);
  });

  it("puts the service's words beside the field, and takes them away with the next key", async () => {
    answers = [refused("input.score must lie between -1 and 1; got 900.", "BAD_USER_INPUT")];
    await submit();
    const field = screen.getByLabelText("Score");
    expect(field).toHaveAccessibleDescription("input.score must lie between -1 and 1; got 900.");
    expect(field).toHaveFocus();
    expect(field).toHaveValue(900);
    expect(screen.getByRole("button")).toHaveTextContent("Submit");
    await userEvent.type(field, "1");
    expect(field).not.toHaveAttribute("aria-invalid");
  });

  it("knows the words of GraphQL's own checks as well", async () => {
    answers = [refused("Variable '$input' has invalid value at .score: Score cannot represent it.", "BAD_USER_INPUT")];
    await submit();
    expect(screen.getByLabelText("Score")).toHaveAttribute("aria-invalid", "true");
  });
});
