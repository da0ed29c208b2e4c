import { useId, type InputHTMLAttributes } from "react";
import type { Game } from "./attempt.ts";
import type { Problem } from "./problems.ts";

interface Props extends InputHTMLAttributes<HTMLInputElement> {
  readonly name: keyof Game;
  readonly label: string;
  readonly problem: Problem | null;
}

/** A labelled input with what the service said against it. */
export function Field({ name, label, problem, ...rest }: Props) {
  const id = useId();
  const message = problem?.field === name ? problem.message : undefined;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        {...rest}
        id={id}
        name={name}
        autoComplete="off"
        aria-invalid={message !== undefined || undefined}
        aria-describedby={message === undefined ? undefined : `${id}-problem`}
      />
      {message !== undefined && (
        <p id={`${id}-problem`} className="field-problem">
          {message}
        </p>
      )}
    </div>
  );
}
