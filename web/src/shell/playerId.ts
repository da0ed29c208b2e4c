const ID_MIN = -(2n ** 63n);
const ID_MAX = 2n ** 63n - 1n;

/** The id as the service writes it, of what somebody typed; null where it is no signed 64-bit integer. */
export function parsePlayerId(typed: string): string | null {
  const text = typed.trim();
  if (!/^[+-]?[0-9]{1,19}$/.test(text)) return null;
  const id = BigInt(text.replace(/^\+/, ""));
  return id < ID_MIN || id > ID_MAX ? null : id.toString();
}
