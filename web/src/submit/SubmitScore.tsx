import { useEffect, useRef, useState, type ChangeEvent, type SubmitEvent } from "react";
import { PlaceLink } from "../shell/PlaceLink.tsx";
import type { PageSize } from "../shell/place.ts";
import { format } from "../text/format.ts";
import { Name } from "../text/Name.tsx";
import type { Game } from "./attempt.ts";
import { Field } from "./Field.tsx";
import { useSubmit, type Submit } from "./useSubmit.ts";

const EMPTY: Game = { userId: "", username: "", score: "", gameMode: "", durationSeconds: "" };

/** A form that submits a score, for trying out. */
export function SubmitScore({ show }: { readonly show: PageSize }) {
  const [game, setGame] = useState(EMPTY);
  const { sending, done, problem, send, forgetProblem } = useSubmit();
  const form = useRef<HTMLFormElement>(null);

  useEffect(() => {
    if (problem !== null) form.current?.querySelector<HTMLInputElement>("[aria-invalid]")?.focus();
  }, [problem]);

  const change = (event: ChangeEvent<HTMLInputElement>) => {
    setGame({ ...game, [event.target.name]: event.target.value });
    if (problem?.field === event.target.name) forgetProblem();
  };
  const submit = async (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (sending) return;
    // The next game is most often of the same player.
    if (await send(game)) setGame({ ...game, score: "" });
  };

  return (
    <form
      ref={form}
      className="submit"
      onSubmit={(event) => {
        void submit(event);
      }}
    >
      <h2 id="submit-title">Submit a score</h2>
      <p className="submit-note">For trying out, in the local set-up only.</p>
      <Field name="userId" label="Player id" value={game.userId} problem={problem} onChange={change} required />
      <Field
        name="username"
        label="Name"
        value={game.username}
        problem={problem}
        onChange={change}
        required
        dir="auto"
      />
      <Field
        name="score"
        label="Score"
        type="number"
        step="1"
        value={game.score}
        problem={problem}
        onChange={change}
        required
      />
      <details>
        <summary>Mode and length</summary>
        <Field name="gameMode" label="Game mode" value={game.gameMode} problem={problem} onChange={change} dir="auto" />
        <Field
          name="durationSeconds"
          label="Length in seconds"
          type="number"
          step="1"
          value={game.durationSeconds}
          problem={problem}
          onChange={change}
        />
      </details>
      <button type="submit" className="primary" aria-disabled={sending}>
        {sending ? "Submitting…" : problem?.again === true ? "Try again" : "Submit"}
      </button>
      <div role="status" className="submit-outcome">
        <Outcome done={done} problem={problem} show={show} />
      </div>
    </form>
  );
}

function Outcome({ done, problem, show }: Pick<Submit, "done" | "problem"> & { readonly show: PageSize }) {
  if (problem !== null) {
    if (problem.field !== null) return <p className="hidden">{problem.message}</p>;
    return (
      <p className="field-problem">
        {problem.message}
        {problem.again && " Trying again is safe: the same submission counts once."}
      </p>
    );
  }
  if (done === null) return null;
  const { standing, duplicate } = done;
  return (
    <p>
      {duplicate ? "Counted before: " : ""}
      <PlaceLink to={{ view: "player", show, userId: standing.userId }}>
        <Name>{standing.username}</Name>
      </PlaceLink>{" "}
      has {format.number(standing.totalScore)}
      {standing.rank === null ? "" : `, rank ${format.number(standing.rank)}`}.
    </p>
  );
}
