/** A player's name, whatever its direction and length: it never turns the text around it. */
export function Name({ children }: { readonly children: string }) {
  return (
    <bdi className="name" dir="auto" title={children}>
      {children}
    </bdi>
  );
}
