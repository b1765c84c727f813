// What each panel of the server's list looks like here: its name, and how its rows become a picture. Minutes and hours
// count from the newest in the rows, not from the clock, so that replayed and lagging streams show as well.

import { chart, line, lineTop, minutes, palette } from "./charts.js";
import { clock, count, millis, moment } from "./format.js";
import { events } from "./events.js";
import { id, pageLink, say } from "./dom.js";
import { ranks } from "./ranks.js";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const SHOWN_MINUTES = 60;
const SHOWN_MINUTES_LEAST = 15;
const TYPES = ["edit", "categorize", "new", "log"];

/** Shows the rows of one panel; `now` is the server's time in milliseconds. */
export function panel(name, rows, now) {
  const show = SHOW[name];
  const element = id(`panel-${name}`);
  if (!show || !element) return;
  element.hidden = false;
  element.classList.toggle("empty", rows.length === 0);
  if (rows.length > 0) show(element, rows, now);
}

const SHOW = {
  edits_per_second(element, rows, now) {
    const values = new Map(rows.map((row) => [millis(row.second), row.edits]));
    const newest = Math.max(...values.keys());
    const stale = now - newest > 300 * SECOND;
    // The second that is still open would only ever show as a dip.
    const to = stale ? newest : Math.max(newest - SECOND, Math.floor(now / SECOND) * SECOND - 2 * SECOND);
    const first = Math.max(to - 300 * SECOND, Math.min(...values.keys()));
    const from = Math.min(first, to - 60 * SECOND);
    const points = [];
    for (let at = first; at <= to; at += SECOND) points.push([at, values.get(at) ?? 0]);
    const most = Math.max(0, ...points.map((point) => point[1]));
    const peak = most > lineTop(points.map((point) => point[1])) ? `, peak of ${count(most)} cut off` : "";
    say(sub(element), `by received time, ${stale ? `until ${moment(newest, now)}` : lastMinutes(to - from)}${peak}`);
    chart(plot(element), () => line(points, [from, to], "edits"));
  },

  edits_per_minute(element, rows) {
    const totals = totalsOf(rows, "wiki", "edits");
    const names = [...totals.keys()].filter((name) => name !== "others").toSorted((a, b) => totals.get(b) - totals.get(a));
    if (totals.has("others")) names.push("others");
    drawMinutes(element, rows, "edits", () => {
      const colours = palette();
      const places = keepPlaces(names.filter((name) => name !== "others"));
      return names.map((name) => ({ name, values: valuesOf(rows, "wiki", name, "edits"), colour: colours[places.get(name) ?? 8] }));
    });
  },

  bots_and_people(element, rows) {
    const totals = totalsOf(rows, "bot", "edits");
    const all = [...totals.values()].reduce((sum, value) => sum + value, 0);
    const bots = totals.get("true") ?? 0;
    say(sub(element), all ? `edits per minute, ${Math.round((100 * bots) / all)} % by bots` : "edits per minute");
    drawMinutes(element, rows, "edits", () => {
      const colours = palette();
      return [["people", "false", colours[0]], ["bots", "true", colours[1]]].map(([name, key, colour]) => ({ name, values: valuesOf(rows, "bot", key, "edits"), colour }));
    });
  },

  events_per_type(element, rows) {
    const totals = totalsOf(rows, "type", "events");
    const names = [...TYPES.filter((type) => totals.has(type)), ...[...totals.keys()].filter((type) => !TYPES.includes(type)).toSorted()];
    drawMinutes(element, rows, "events", () => {
      const colours = palette();
      const of = { edit: colours[0], categorize: colours[4], new: colours[2], log: colours[3] };
      return names.map((name, at) => ({ name, values: valuesOf(rows, "type", name, "events"), colour: of[name] ?? colours[5 + (at % 4)] }));
    });
  },

  bytes_changed(element, rows) {
    const column = (key, sign) => new Map(rows.map((row) => [millis(row.minute), sign * Math.abs(row[key] ?? 0)]));
    drawMinutes(element, rows, "bytes", () => {
      const colours = palette();
      return [{ name: "added", values: column("added", 1), colour: colours[2] }, { name: "removed", values: column("removed", -1), colour: colours[5] }];
    });
  },

  edits_per_page(element, rows) {
    say(sub(element), windowWords(rows[0].ten_minutes, 10, 2));
    ranks(element, rows.map((row) => ({ label: pageLink(domainOf(row.wiki), row.title), aside: row.wiki, value: row.edits })));
  },

  events_per_domain(element, rows) {
    say(sub(element), windowWords(rows[0].newest, 1, 10));
    ranks(element, rows.map((row) => ({ label: row.domain ?? "none", value: row.events })));
  },

  new_pages(element, rows) {
    say(sub(element), windowWords(rows[0].hour, 60));
    ranks(element, rows.map((row) => ({ label: row.domain ?? "none", value: row.pages })));
  },

  latest(element, rows) {
    events(element, rows);
  },
};

const sub = (element) => element.querySelector(".sub");
const plot = (element) => element.querySelector(".chart");

function lastMinutes(spanMs) {
  const whole = Math.round(spanMs / MINUTE);
  return whole > 1 ? `last ${whole} minutes` : "last minute";
}

/** "13:20 to 13:40": the window that starts at `start` and those before it, `back` in all. */
function windowWords(start, sizeMinutes, back = 1) {
  const at = millis(start);
  const from = clock(at - (back - 1) * sizeMinutes * MINUTE).slice(0, 5);
  return `${from} to ${clock(at + sizeMinutes * MINUTE).slice(0, 5)}`;
}

function totalsOf(rows, key, value) {
  const totals = new Map();
  for (const row of rows) totals.set(String(row[key] ?? "none"), (totals.get(String(row[key] ?? "none")) ?? 0) + row[value]);
  return totals;
}

function valuesOf(rows, key, name, value) {
  const values = new Map();
  for (const row of rows) {
    if (String(row[key] ?? "none") === name) values.set(millis(row.minute), (values.get(millis(row.minute)) ?? 0) + row[value]);
  }
  return values;
}

const wikiPlaces = new Map();

/** A colour's place for each of at most eight names; a name keeps its own for as long as it is among them. */
function keepPlaces(names) {
  for (const name of [...wikiPlaces.keys()]) if (!names.includes(name)) wikiPlaces.delete(name);
  const free = [0, 1, 2, 3, 4, 5, 6, 7].filter((place) => ![...wikiPlaces.values()].includes(place));
  for (const name of names) if (!wikiPlaces.has(name)) wikiPlaces.set(name, free.shift());
  return wikiPlaces;
}

function drawMinutes(element, rows, unit, series) {
  const times = rows.map((row) => millis(row.minute));
  const newest = Math.max(...times);
  const oldest = Math.min(...times);
  const from = Math.max(newest - (SHOWN_MINUTES - 1) * MINUTE, Math.min(oldest, newest - (SHOWN_MINUTES_LEAST - 1) * MINUTE));
  chart(plot(element), () => minutes(series(), [from, newest], unit));
}

/** The host of a Wikimedia wiki by its database name, for the common families; null where that would be a guess. */
function domainOf(wiki) {
  const special = { commonswiki: "commons.wikimedia.org", wikidatawiki: "www.wikidata.org", metawiki: "meta.wikimedia.org", specieswiki: "species.wikimedia.org", mediawikiwiki: "www.mediawiki.org" };
  if (special[wiki]) return special[wiki];
  const family = /^([a-z]{2,3})(wiki|wiktionary|wikisource|wikiquote|wikinews|wikivoyage|wikibooks|wikiversity)$/.exec(wiki ?? "");
  return family ? `${family[1]}.${family[2] === "wiki" ? "wikipedia" : family[2]}.org` : null;
}
