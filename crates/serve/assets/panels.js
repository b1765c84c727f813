// The panels: one for each that the server lists, built by its kind, in its order, kept while it stays what it was. Windows
// count from the newest in the rows, not from the clock, so that replayed and lagging streams show as well.

import { address } from "./links.js";
import { cell, count, millis, moment, sameDay, sizeWords, windowWords } from "./format.js";
import { chart, forget, line, lineTop, palette, points, windows } from "./charts.js";
import { eventList } from "./events.js";
import { id, linked, make, say } from "./dom.js";
import { ranks } from "./ranks.js";
import { shares } from "./rows.js";
import { standing, waitsFor } from "./waits.js";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const QUICK_MS = 5 * SECOND; // Charts of windows so short move on with the clock.
const QUIET_MS = 1500; // The server sends rows only when they changed; after this such a chart is moved on without it.
const WINDOWS_LEAST = 15; // A chart that has just begun is not three bars wide.
const SERIES = 8;

const known = new Map(); // name → a panel
let status = null;
let now = Date.now();
let tell = () => {};

/** Calls `say` with the names of the panels on the screen, whenever they change. */
export function seen(say) {
  tell = say;
}

const onScreen = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) onScreen.add(entry.target.dataset.panel);
    else onScreen.delete(entry.target.dataset.panel);
  }
  tell([...onScreen].sort());
}, { rootMargin: "150px" });

/** Lays out the panels of the server's list: what is new is built, what is gone goes, what stays keeps what it shows. */
export function layOut({ panels: specs, left_out: leftOut }) {
  const grid = id("panels");
  const names = new Set(specs.map((spec) => spec.name));
  for (const [name, panel] of known) if (!names.has(name)) remove(name, panel);
  const share = shares(specs);
  specs.forEach((spec, at) => {
    const text = JSON.stringify(spec);
    let panel = known.get(spec.name);
    if (panel && panel.text !== text) {
      remove(spec.name, panel);
      panel = undefined;
    }
    if (!panel) {
      panel = build(spec, text);
      known.set(spec.name, panel);
      watcher.observe(panel.element);
    }
    panel.element.classList.toggle("tall", share[at].tall);
    panel.element.style.setProperty("--wide", share[at].wide);
    panel.element.style.setProperty("--narrow", share[at].narrow);
    if (grid.children[at] !== panel.element) grid.insertBefore(panel.element, grid.children[at] ?? null);
  });
  tell([...onScreen].sort());
  id("panels-left-out").hidden = !leftOut;
  say(id("panels-left-out"), `${count(leftOut)} more panels are not shown here; their streams and views are in the tables below.`);
  for (const panel of known.values()) refresh(panel);
}

function remove(name, panel) {
  known.delete(name);
  onScreen.delete(name);
  watcher.unobserve(panel.element);
  for (const plot of panel.element.querySelectorAll(".chart")) forget(plot);
  panel.element.remove();
}

/** Shows the rows of one panel, or what is wrong with it. */
export function rowsOf(document, at) {
  const panel = known.get(document.panel);
  if (!panel) return;
  panel.document = document;
  panel.heardAt = at;
  refresh(panel);
}

/** Takes up a new status: what the panels' views and streams are doing. */
export function statusOf(next, at) {
  const anotherDay = !sameDay(at, now);
  status = next;
  now = at;
  for (const [name, panel] of known) {
    // What came yesterday shows its date from now on, also where nothing new comes.
    if (anotherDay) refresh(panel);
    else if (onScreen.has(name)) about(panel);
  }
}

/** Moves on the charts of short windows, for which nothing new came. */
export function moveOn(at) {
  for (const panel of known.values()) {
    const quick = panel.spec.kind === "chart" && panel.spec.about_ms <= QUICK_MS;
    if (quick && panel.rows?.length && at - panel.heardAt > QUIET_MS) refresh(panel);
  }
}

function build(spec, text) {
  const element = make("section", "panel");
  element.dataset.panel = spec.name;
  element.id = `panel-${spec.name}`;
  element.setAttribute("aria-label", spec.title);
  const caption = make("div", "caption");
  const sub = make("p", "sub", spec.note ?? "");
  const badge = make("span", "badge");
  badge.hidden = true;
  const title = make("h2", "", spec.title);
  title.title = spec.title;
  caption.append(title, sub, badge);
  const body = make("div", "body");
  const wait = make("p", "wait");
  element.append(caption, wait, body);
  const panel = { spec, text, element, caption, body, wait, badge, document: null, heardAt: 0, places: new Map() };
  panel.sub = (words) => say(sub, [spec.note, words].filter(Boolean).join(", "));
  panel.draw = KINDS[spec.kind](panel, spec);
  return panel;
}

function refresh(panel) {
  panel.rows = panel.document?.rows ?? null;
  about(panel);
  if (panel.rows?.length) panel.draw(panel.rows, now, panel.document);
}

/** Says what the panel's view is doing, and what it waits for where it has nothing to show. */
function about(panel) {
  const { spec, badge, wait, body, rows } = panel;
  const [state, word, why] = standing(spec, status);
  badge.hidden = !word;
  badge.dataset.state = state;
  say(badge, word);
  badge.title = why;
  const words = panel.document?.error ? `This cannot be shown: ${panel.document.error}` : rows?.length ? "" : waitsFor(spec, status, Boolean(panel.document));
  wait.hidden = !words;
  body.hidden = Boolean(words);
  say(wait, words);
}

const KINDS = {
  chart(panel, spec) {
    const plots = (spec.together ? [null] : spec.values).map((value) => {
      const figure = make("div", "plot");
      if (value && spec.values.length > 1) figure.append(make("p", "of", value.name));
      const plot = make("div", spec.width === "two_thirds" ? "chart tall" : spec.values.length > 1 && !spec.together ? "chart low" : "chart");
      figure.append(plot);
      panel.body.append(figure);
      return plot;
    });
    if (plots.length > 1) panel.body.classList.add("several");
    return (rows, at, document) => (spec.style === "points" ? drawPoints : drawWindows)(panel, spec, plots, rows, at, document);
  },

  ranks(panel, spec) {
    const table = make("table", "ranks");
    const head = make("tr");
    head.append(...[spec.series, spec.value.name].map((name) => {
      const cell = make("th", "", name);
      cell.scope = "col";
      return cell;
    }));
    table.createTHead().append(head);
    panel.body.append(table);
    const body = table.createTBody();
    return (rows) => {
      panel.sub(lastWindows(millis(rows[0].x), spec.about_ms, spec.windows));
      ranks(body, rows.map((row) => {
        const [label, ...aside] = row.c;
        return { label: linked(address(spec.link, row.l), label == null ? "none" : String(label)), aside: aside.filter((one) => one != null).join(" · "), value: row.v };
      }));
    };
  },

  table(panel, spec) {
    const scroll = make("div", "scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", spec.title);
    const table = make("table", "facts rows");
    const head = make("tr");
    head.append(...spec.columns.map((column) => {
      const cell = make("th", column.number ? "number" : "", column.name);
      cell.scope = "col";
      return cell;
    }));
    table.createTHead().append(head);
    const body = table.createTBody();
    scroll.append(table);
    panel.body.append(scroll);
    return (rows, at, document) => {
      const columns = spec.left_out ? `, ${count(spec.left_out)} more columns are not shown` : "";
      panel.sub(`${spec.newest_by ? "the newest windows" : "the newest rows"}${columns}${partly(document)}`);
      body.replaceChildren(...rows.map((row) => {
        const one = make("tr");
        one.append(...row.map((value, place) => {
          const text = cell(value, at);
          const into = make("td", spec.columns[place].number ? "number" : "", text);
          if (text.length > 18) into.title = String(value);
          return into;
        }));
        return one;
      }));
    };
  },

  events: eventList,

  rate(panel) {
    const plot = make("div", panel.spec.width === "two_thirds" ? "chart tall" : "chart");
    panel.body.append(plot);
    return (rows, at, document) => {
      const to = document.to - SECOND;
      const values = rows.map((value, place) => [to - (rows.length - 1 - place) * SECOND, value]);
      const from = Math.min(values[0][0], to - 60 * SECOND);
      panel.sub(`by received time, ${lastMinutes(to - from)}${cutOff(values)}`);
      chart(plot, () => line(values, [from, to], "events"));
    };
  },
};

function drawWindows(panel, spec, plots, rows, at, document) {
  const step = spec.step_ms;
  const quick = spec.about_ms <= QUICK_MS && !spec.series.length && spec.values.length === 1 && spec.others && spec.style === "lines";
  if (quick) return drawQuick(panel, spec, plots[0], rows, at);
  const times = timesOf(rows, spec);
  const sub = [];
  if (!panel.spec.note) sub.push(!step ? `by ${spec.window}` : spec.size_ms ? `windows of ${sizeWords(spec.size_ms)}, one each ${windowWords(step)}` : `${spec.others ? "per" : "each"} ${windowWords(step)}`);
  if (rows.some((row) => row.k == null) && spec.series.length) sub.push("the eight busiest, and all others");
  else if (!spec.others && rows.some((row) => row.k > SERIES)) sub.push("the eight greatest; others are left out, since they do not add up");
  if (spec.left_out) sub.push(`${count(spec.left_out)} more numbers are not drawn`);
  panel.sub(sub.join(", ") + partly(document));
  const fill = spec.others ? 0 : null;
  const series = (place) => {
    const colours = palette();
    if (spec.together) {
      const down = spec.values.some((value) => value.down);
      return spec.values.map((value, at) => ({
        name: value.name, down: value.down, values: new Map(rows.map((row) => [millis(row.x), Math.abs(row[`v${at}`] ?? 0)])),
        colour: down ? colours[value.down ? 5 : 2] : colours[at % 8],
      }));
    }
    const value = spec.values[place];
    if (!spec.series.length) return [{ name: value.name, down: value.down, colour: colours[0], values: new Map(rows.map((row) => [millis(row.x), row[`v${place}`]])) }];
    return seriesOf(panel, rows.filter((row) => !(row.k > SERIES)), spec, colours).map((one) => ({
      ...one, down: value.down, values: new Map(one.rows.map((row) => [millis(row.x), row[`v${place}`]])),
    }));
  };
  plots.forEach((plot, place) => {
    const unit = spec.together ? spec.values.map((value) => value.name).join(", ") : spec.values[place].name;
    chart(plot, () => windows({ series: series(place), times, stepMs: spec.about_ms, style: spec.style, unit, fill, fromZero: spec.others, uneven: !step }));
  });
}

/** One number over short windows moves with the clock: the window that is still open would only ever show as a dip. */
function drawQuick(panel, spec, plot, rows, at) {
  const step = spec.step_ms;
  const values = new Map(rows.map((row) => [millis(row.x), row.v0]));
  const newest = Math.max(...values.keys());
  const wide = spec.windows * step;
  const stale = at - newest > wide;
  const to = stale ? newest : Math.max(newest - step, Math.floor(at / step) * step - 2 * step);
  const first = Math.max(to - wide, Math.min(...values.keys()));
  const from = Math.min(first, to - wide / 5);
  const line_ = [];
  for (let time = first; time <= to; time += step) line_.push([time, values.get(time) ?? 0]);
  panel.sub(`${stale ? `until ${moment(newest, at)}` : lastMinutes(to - from)}${cutOff(line_)}`);
  chart(plot, () => line(line_, [from, to], spec.values[0].name, windowWords(step)));
}

function drawPoints(panel, spec, plots, rows, at, document) {
  const sub = panel.spec.note ? [] : [`by ${spec.window}`];
  if (rows.length >= 500) sub.push("the newest 500");
  if (spec.left_out) sub.push(`${count(spec.left_out)} more numbers are not drawn`);
  panel.sub(sub.join(", ") + partly(document));
  const times = rows.map((row) => millis(row.x));
  const [from, to] = [Math.min(...times), Math.max(...times)];
  const edge = Math.max(spec.about_ms, (to - from) / 40);
  // The most frequent names have a colour each.
  const often = new Map();
  for (const row of rows) often.set(row.s, (often.get(row.s) ?? 0) + 1);
  const names = [...often.keys()].toSorted((a, b) => often.get(b) - often.get(a)).slice(0, SERIES);
  const ranked = rows.map((row) => ({ ...row, k: names.includes(row.s) ? names.indexOf(row.s) + 1 : null }));
  plots.forEach((plot, place) => {
    chart(plot, () => points({
      series: seriesOf(panel, ranked, spec, palette()).map((one) => ({ ...one, points: one.rows.map((row) => [millis(row.x), row[`v${place}`]]) })),
      from: from - edge, to: to + edge, stepMs: spec.about_ms, unit: spec.values[place].name,
    }));
  });
}

/** The rows by series, the greatest first, all others last; a name keeps its colour for as long as it is among them. */
function seriesOf(panel, rows, spec, colours) {
  const byRank = new Map();
  for (const row of rows) {
    const rank = row.k ?? Infinity;
    if (!byRank.has(rank)) byRank.set(rank, []);
    byRank.get(rank).push(row);
  }
  const ordered = [...byRank].toSorted((a, b) => a[0] - b[0]);
  const names = ordered.filter(([rank]) => rank !== Infinity).map(([, of]) => of[0].s);
  const places = keepPlaces(panel.places, names);
  return ordered.map(([rank, of]) => (rank === Infinity
    ? { name: "others", rows: of, colour: colours[8] }
    : { name: seriesName(of[0].s, spec), rows: of, colour: colours[places.get(of[0].s) % 8] }));
}

/** What the server writes before a name tells the name "none" from no name. */
function seriesName(s, spec) {
  if (s == null || s === "n") return spec.labels.null ?? "none";
  const text = s.slice(1);
  if (spec.labels[text]) return spec.labels[text];
  if (spec.series.length === 1 && (text === "true" || text === "false")) return text === "true" ? spec.series[0] : `not ${spec.series[0]}`;
  if (/^\d{4}-\d\d-\d\dT[\d:.]+Z?$/.test(text)) return text.replace("T", " ").replace(/(:00)?Z?$/, "");
  return text === "" ? "(empty)" : spec.series.length ? text : spec.values[0].name;
}

/** A colour's place for each of at most eight names. */
function keepPlaces(places, names) {
  for (const name of [...places.keys()]) if (!names.includes(name)) places.delete(name);
  const free = [0, 1, 2, 3, 4, 5, 6, 7].filter((place) => ![...places.values()].includes(place));
  for (const name of names) if (!places.has(name)) places.set(name, free.shift() ?? 8);
  return places;
}

/** The starts of the windows that are drawn, in order: every one where they are always as far apart, else those in the rows. */
function timesOf(rows, spec) {
  const there = [...new Set(rows.map((row) => millis(row.x)))].toSorted((a, b) => a - b);
  const step = spec.step_ms;
  // Of windows that overlap the last ones are all still filling, and would show as a fall.
  const filling = spec.size_ms && there.length > spec.size_ms / step ? Math.ceil(spec.size_ms / step) - 1 : 0;
  const newest = there.at(-1) - filling * step;
  if (!step) return there.slice(-spec.windows);
  const from = Math.max(newest - (spec.windows - 1) * step, Math.min(there[0], newest - (WINDOWS_LEAST - 1) * step));
  const times = [];
  for (let time = newest; time >= from - 0.001; time -= step) times.unshift(time);
  return times;
}

function lastMinutes(spanMs) {
  const whole = Math.round(spanMs / MINUTE);
  return whole > 1 ? `last ${whole} minutes` : "last minute";
}

function cutOff(values) {
  const most = Math.max(0, ...values.map((point) => point[1]));
  return most > lineTop(values.map((point) => point[1])) ? `, peak of ${count(most)} cut off` : "";
}

/** "13:20 to 13:40": the newest window and those before it, `windows` in all. */
function lastWindows(newestMs, sizeMs, windows) {
  const at = (ms) => moment(ms, now);
  return `${at(newestMs - (windows - 1) * sizeMs)} to ${at(newestMs + sizeMs)}`;
}

function partly({ part }) {
  return part > 1 ? `, only the newest part: all of it has too many rows to draw` : "";
}
