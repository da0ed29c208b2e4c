import { format } from "./format.ts";

/** An instant in the reader's locale and time zone, whole in its tooltip. */
export function Instant({
  at,
  as = "recent",
}: {
  readonly at: string;
  readonly as?: "recent" | "moment" | "clock" | "day";
}) {
  const date = new Date(at);
  return (
    <time dateTime={at} title={format.moment(date)}>
      {as === "recent" ? format.recent(date, new Date()) : format[as](date)}
    </time>
  );
}
