// Numbers, sizes, spans and times as a person reads them. Pure functions; everything is UTC.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1, minimumFractionDigits: 1 });
const clockFormat = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minuteFormat = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", hour: "2-digit", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

const dateFormat = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "short" });
const dateOfYearFormat = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "short", year: "numeric" });
const DAY_MS = 86400e3;

export const count = (n) => (n == null ? "–" : whole.format(n));

/** A number of whatever size: whole ones as they are, others with three digits that tell something. */
export const figure = (n) => (n == null ? "–" : Number.isInteger(n) || Math.abs(n) >= 1000 ? whole.format(n) : Number(n).toLocaleString("en", { maximumSignificantDigits: 3 }));

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

/** Whether two times are of the same day. */
export const sameDay = (a, b) => Math.floor(a / DAY_MS) === Math.floor(b / DAY_MS);

/** 12:03:44 today, 21 Nov 12:03:44 of another day, 21 Nov 2025 12:03:44 of another year. */
export function stamp(ms, now) {
  if (ms == null || sameDay(ms, now)) return clock(ms);
  const isOfThisYear = new Date(ms).getUTCFullYear() === new Date(now).getUTCFullYear();
  return `${(isOfThisYear ? dateFormat : dateOfYearFormat).format(ms)} ${clock(ms)}`;
}

/** 12:03 today, 21 Nov 12:03 otherwise. */
export function moment(ms, now) {
  if (ms == null) return "–";
  return Math.abs(now - ms) < 20 * 3600e3 ? minuteFormat.format(ms) : dayFormat.format(ms);
}

/** What Plotly takes as a date on an axis without time zones. */
export const axisTime = (ms) => new Date(ms).toISOString().slice(0, 23);

/** A span in milliseconds as one says it of windows: second, 10 seconds, minute, 6 hours, day, 7 days. */
export function windowWords(ms) {
  const units = [[86400e3, "day"], [3600e3, "hour"], [60e3, "minute"], [1e3, "second"]];
  const [size, unit] = units.find(([size]) => ms >= size && ms % size === 0) ?? [1, "millisecond"];
  const n = ms / size;
  return n === 1 ? unit : `${count(n)} ${unit}s`;
}

/** The same with a number always: 1 minute. */
export const sizeWords = (ms) => windowWords(ms).replace(/^([a-z])/, "1 $1");

/** A cell of a table: digits in groups, times as times, the rest as it is. */
export function cell(value, now) {
  if (value == null) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (/^-?\d{4,}$/.test(value)) return value.replace(/\B(?=(\d{3})+$)/g, ",");
  if (/^-?\d+\.\d{5,}$/.test(value)) return Number(value).toLocaleString("en", { maximumSignificantDigits: 7 });
  if (/^\d{4}-\d\d-\d\dT[\d:.]+Z?$/.test(value)) {
    const ms = Date.parse(value.endsWith("Z") ? value : `${value}Z`);
    return Number.isNaN(ms) ? value : Math.abs(now - ms) < 20 * 3600e3 ? clock(ms) : dayFormat.format(ms);
  }
  return value;
}
