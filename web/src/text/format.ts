/** Numbers and times as the reader writes them: `undefined` is the locale of the browser. */
export interface Formats {
  readonly number: (value: number) => string;
  /** With a sign, for what was gained or lost. */
  readonly change: (value: number) => string;
  readonly compact: (value: number) => string;
  /** Of 0..100, never rounded up: 100 % is the leader's alone. */
  readonly percentile: (value: number) => string;
  readonly clock: (at: Date) => string;
  readonly day: (at: Date) => string;
  readonly moment: (at: Date) => string;
  /** The clock for today, else the day: for tables. */
  readonly recent: (at: Date, now: Date) => string;
  readonly duration: (seconds: number) => string;
}

export function makeFormats(locale: string | undefined, timeZone?: string): Formats {
  const zone = timeZone === undefined ? {} : { timeZone };
  const number = new Intl.NumberFormat(locale);
  const change = new Intl.NumberFormat(locale, { signDisplay: "exceptZero" });
  const compact = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 2 });
  const percentile = new Intl.NumberFormat(locale, {
    style: "percent",
    maximumFractionDigits: 2,
    roundingMode: "floor",
  });
  const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium", ...zone });
  const shortClock = new Intl.DateTimeFormat(locale, { timeStyle: "short", ...zone });
  const day = new Intl.DateTimeFormat(locale, { dateStyle: "medium", ...zone });
  const shortDay = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", ...zone });
  const moment = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short", ...zone });
  const minutes = new Intl.NumberFormat(locale, { style: "unit", unit: "minute", unitDisplay: "short" });
  const seconds = new Intl.NumberFormat(locale, { style: "unit", unit: "second", unitDisplay: "short" });
  return {
    number: (value) => number.format(value),
    change: (value) => change.format(value),
    compact: (value) => compact.format(value),
    percentile: (value) => percentile.format(value / 100),
    clock: (at) => clock.format(at),
    day: (at) => day.format(at),
    moment: (at) => moment.format(at),
    recent: (at, now) => {
      if (day.format(at) === day.format(now)) return shortClock.format(at);
      return at.getFullYear() === now.getFullYear() ? shortDay.format(at) : day.format(at);
    },
    duration: (length) => {
      const whole = Math.floor(length / 60);
      const parts = [
        whole > 0 ? minutes.format(whole) : "",
        length % 60 > 0 || whole === 0 ? seconds.format(length % 60) : "",
      ];
      return parts.filter((part) => part !== "").join(" ");
    },
  };
}

export const format = makeFormats(undefined);
