import { useState } from "react";

export interface Pausable<T> {
  readonly shown: T;
  readonly paused: boolean;
  /** Whether something newer than what is shown is there. */
  readonly waiting: boolean;
  readonly toggle: () => void;
}

/** The newest `value`, or the one at which the reader paused: who reads must be able to hold what moves (WCAG 2.2.2). */
export function usePausable<T>(value: T): Pausable<T> {
  const [held, setHeld] = useState<{ readonly value: T } | null>(null);
  return {
    shown: held === null ? value : held.value,
    paused: held !== null,
    waiting: held !== null && held.value !== value,
    toggle: () => {
      setHeld(held === null ? { value } : null);
    },
  };
}
