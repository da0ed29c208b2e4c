import { useId, useState } from "react";
import { navigate } from "./navigation.ts";
import type { PageSize } from "./place.ts";
import { parsePlayerId } from "./playerId.ts";

/** Finds a player by id. */
export function FindPlayer({ show }: { readonly show: PageSize }) {
  const [typed, setTyped] = useState("");
  const [refused, setRefused] = useState(false);
  const field = useId();
  const problem = useId();

  const find = () => {
    const userId = parsePlayerId(typed);
    setRefused(userId === null);
    if (userId === null) {
      document.getElementById(field)?.focus();
      return;
    }
    setTyped("");
    navigate({ view: "player", show, userId });
  };

  return (
    <search className="find">
      <form action={find} noValidate>
        <label htmlFor={field} className="hidden">
          Find a player by id
        </label>
        <input
          id={field}
          type="text"
          autoComplete="off"
          spellCheck={false}
          placeholder="Player id"
          value={typed}
          aria-invalid={refused || undefined}
          aria-describedby={refused ? problem : undefined}
          onChange={(event) => {
            setTyped(event.target.value);
            setRefused(false);
          }}
        />
        <button type="submit">Find</button>
      </form>
      {refused && (
        <p id={problem} className="field-problem" role="alert">
          A player id is a whole number, such as 42.
        </p>
      )}
    </search>
  );
}
