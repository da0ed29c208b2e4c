import { useState } from "react";

/**
 * The newest `value` that was not undefined under this `key`.
 *
 * A failed refresh comes without data; what was known before stays on the page.
 */
export function useKept<T>(key: string, value: T | undefined): T | undefined {
  const [kept, setKept] = useState({ key, value });
  const next = value ?? (kept.key === key ? kept.value : undefined);
  if (kept.key !== key || kept.value !== next) setKept({ key, value: next });
  return next;
}
