// Numbers, sizes, spans and times as a person reads them. Pure functions; everything is UTC.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1, minimumFractionDigits: 1 });
const clockFormat = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minuteFormat = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", hour: "2-digit", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

export const count = (n) => (n == null ? "–" : whole.format(n));

/** A rate: 7.3 or 36 or 12,345, never more digits than it deserves. */
export const rate = (n) => (n == null ? "–" : n > 0 && n < 20 ? tenth.format(n) : whole.format(n));

/** A signed change: +312, −4, ±0. */
export const delta = (n) => (n > 0 ? `+${whole.format(n)}` : n < 0 ? `−${whole.format(-n)}` : "±0");

/** Bytes in powers of 1,024. */
export function bytes(n) {
  if (n == null) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) { n /= 1024; unit += 1; }
  return `${unit === 0 || n >= 100 ? whole.format(n) : tenth.format(n)} ${units[unit]}`;
}

/** A span in seconds: 0.4 s, 12 s, 3 min 20 s, 5 h 12 min, 9 d 4 h. */
export function span(seconds) {
  if (seconds == null) return "–";
  if (seconds < 10) return `${tenth.format(Math.max(0, seconds))} s`;
  seconds = Math.round(seconds);
  if (seconds < 60) return `${seconds} s`;
  const two = (big, bigUnit, small, smallUnit) => (small ? `${big} ${bigUnit} ${small} ${smallUnit}` : `${big} ${bigUnit}`);
  if (seconds < 3600) return two(Math.floor(seconds / 60), "min", seconds % 60, "s");
  if (seconds < 86400) return two(Math.floor(seconds / 3600), "h", Math.floor((seconds % 3600) / 60), "min");
  return two(Math.floor(seconds / 86400), "d", Math.floor((seconds % 86400) / 3600), "h");
}

/** Milliseconds since the epoch of what the server sends as time: RFC 3339 text, or nothing. */
export const millis = (text) => (text == null ? null : Date.parse(text));

/** 12:03:44 */
export const clock = (ms) => (ms == null ? "–" : clockFormat.format(ms));

/** 12:03 today, 21 Nov 12:03 otherwise. */
export function moment(ms, now) {
  if (ms == null) return "–";
  return Math.abs(now - ms) < 20 * 3600e3 ? minuteFormat.format(ms) : dayFormat.format(ms);
}

/** What Plotly takes as a date on an axis without time zones. */
export const axisTime = (ms) => new Date(ms).toISOString().slice(0, 19);
