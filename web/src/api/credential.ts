/** Headers of HTTP, or what stands for them in a socket's first message, with this key as the credential if there is one. */
export function authorized(key: string | undefined): Record<string, string> {
  return key === undefined ? {} : { authorization: `Bearer ${key}` };
}

/** `typed` with the credential of `key`, unless somebody typed one of their own. Names of headers have no case. */
export function authorizedUnlessTyped(
  typed: Readonly<Record<string, unknown>> | undefined,
  key: string | undefined,
): Record<string, unknown> {
  const names = Object.keys(typed ?? {}).map((name) => name.toLowerCase());
  return names.includes("authorization") ? { ...typed } : { ...typed, ...authorized(key) };
}
