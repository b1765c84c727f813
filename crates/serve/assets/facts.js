// The tables of sources, sinks, streams and views: every figure of the status that has no tile.

import { bytes, count, millis, moment, rate, span } from "./format.js";
import { id, make, say } from "./dom.js";
import { SINK_WORDS, WORDS } from "./state.js";

/** Fills the four tables. */
export function facts(status, now) {
  table("sources", ["Source", "Kind", "Into", "State", "Complete to", "#Events", "#Again, dropped", "#Refused", "#Missing upstream", "#Reconnects"],
    Object.entries(status.sources).map(([name, one]) => [
      name, one.kind, (one.streams ?? [one.stream]).join(", "), badge(one.state, WORDS), moment(millis(one.progress), now), count(one.events), count(one.duplicates), count(one.rejects),
      count(one.gaps), count(Math.max(0, one.opened - 1)),
    ]), "No source: events come by POST /v1/streams/NAME/events.");
  table("sinks", ["Sink", "Kind", "From", "State", "#Lag", "#Rate, 10 s", "#Delivered", "#Refused", "#Written again", "Delivery", "Last error"],
    Object.entries(status.sinks ?? {}).map(([name, one]) => [
      name, one.kind, one.from, badge(one.state, SINK_WORDS), lag(one), `${rate(one.rows_per_second)}/s`, count(one.delivered), count(one.rejected), count(one.retried),
      delivery(one), lastError(one, now),
    ]), "No sink: the pipeline has none.");
  table("streams", ["Stream", "Last received", "#Events", "#Rate, 10 s", "#First offset", "#Next offset", "#Raw", "#On disk", "#Files", "#Pushed", "#No event time", "Do not fit"],
    Object.entries(status.streams).map(([name, one]) => [
      name, one.freshness_seconds == null ? "–" : `${span(one.freshness_seconds)} ago`, count(one.events), `${rate(one.rate_10s)}/s`,
      count(one.start), count(one.end), bytes(one.raw_bytes), bytes(one.stored_bytes), count(one.segments) + (one.unsealed ? ` (${count(one.unsealed)} to seal)` : ""), count(one.pushed),
      noTime(one.event_times), misfits(one.columns),
    ]));
  table("views", ["View", "Of", "State", "Closed to", "#Rows", "#Counted to offset", "#Behind", "#Late, corrected", "#Late, left out", "How late", "#Without time", "#Failed"],
    Object.entries(status.views).map(([name, one]) => [
      name, one.reads ?? one.stream, viewState(one), moment(millis(one.watermark), now), (one.rows_at_least ? "at least " : "") + count(one.rows), count(one.offset), count(one.behind),
      count(one.late_corrected), count(one.late_dropped), howLate(one.late_by), count(one.without_time),
      failed(one),
    ]), "No view: the pipeline has none.");
}

// What is there and not delivered: rows of a stream, commits of a view; and what was lost, if something was.
function lag(one) {
  const behind = one.lag_rows != null ? `${count(one.lag_rows)} rows` : one.lag_commits != null ? `${count(one.lag_commits)} commits` : "–";
  if (!one.lost) return behind;
  const cell = make("span", "badge", `${behind}, ${count(one.lost.rows)} lost`);
  cell.dataset.state = "failed";
  cell.title = one.lost.why;
  return cell;
}

// The class of delivery in short; all of it, and the position, to whoever points at it.
function delivery(one) {
  const cell = make("span", "", one.delivery.split(":")[0]);
  cell.title = [one.delivery, one.position].filter(Boolean).join("; position ");
  return cell;
}

function lastError(one, now) {
  const error = one.error ?? one.last_error;
  if (!error) return "–";
  const at = millis(one.last_error_at ?? one.since);
  return make("span", "long", at == null ? error : `${moment(at, now)}: ${error}`);
}

// Events that the view leaves out since its SQL fails on them, and why the last one is.
function failed(one) {
  const cell = make("span", "", count(one.failed_events));
  if (one.failure) cell.title = one.failure;
  return cell;
}

// Events without an event time, and why; a warning when most of the last ones have none.
function noTime(times) {
  const cell = make("span", times?.most_without ? "badge" : "", count(times?.without ?? 0));
  if (times?.most_without) cell.dataset.state = "failed";
  if (times?.why) cell.title = times.why;
  return cell;
}

// Values of another type than their column: 12 in age, 3 in bot.
function misfits(columns) {
  return Object.entries(columns?.mistyped ?? {}).map(([name, values]) => `${count(values)} in ${name}`).join(", ") || "–";
}

const LATE = ["up to 1 min", "up to 10 min", "up to 1 h", "up to 6 h", "up to 24 h", "more than 24 h"];

// Late events by how long after the end of their window they came: 12 up to 1 min, 3 up to 1 h.
function howLate(by) {
  return LATE.filter((name) => by?.[name]).map((name) => `${count(by[name])} ${name}`).join(", ") || "–";
}

// What a view is doing, and the one that is built to take its place.
function viewState(one) {
  const own = one.failed ? ["failed", "Stands still"] : one.state === "building" ? ["catching_up", building(one)] : ["live", "Live"];
  const cell = make("span");
  const add = ([state, text]) => {
    const badge = make("span", "badge", text);
    badge.dataset.state = state;
    cell.append(badge, " ");
  };
  add(own);
  if (one.next?.failed) add(["failed", "New one stands still"]);
  else if (one.next?.waits) add(["good", "New one waits for swap"]);
  else if (one.next) add(["catching_up", `New one: ${one.next.state === "building" ? building(one.next).toLowerCase() : "ready"}`]);
  return cell;
}

function building({ fraction, seconds_left }) {
  return `Building ${Math.floor(fraction * 100)} %${seconds_left == null ? "" : `, ${span(seconds_left)} left`}`;
}

function badge(state, words) {
  const one = make("span", "badge", words[state] ?? state);
  one.dataset.state = state;
  return one;
}

/** A heading that begins with # stands over numbers. Where there are no rows, `none` says so. */
function table(name, heads, rows, none = "") {
  const where = id(name);
  const numeric = heads.map((head) => head.startsWith("#"));
  if (!where.tHead.rows.length) {
    const line = make("tr");
    line.append(...heads.map((head, at) => {
      const cell = make("th", numeric[at] ? "number" : "", head.replace("#", ""));
      cell.scope = "col";
      return cell;
    }));
    where.tHead.append(line);
  }
  const caption = where.createCaption();
  say(caption, none);
  caption.hidden = rows.length > 0;
  where.tHead.hidden = !rows.length;
  const body = where.tBodies[0];
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, at) => {
    const row = body.rows[at] ?? body.insertRow();
    cells.forEach((cell, column) => {
      const into = row.cells[column] ?? row.insertCell();
      into.className = numeric[column] ? "number" : "";
      if (typeof cell !== "string") into.replaceChildren(cell);
      else if (into.textContent !== cell) into.textContent = cell;
    });
  });
}
