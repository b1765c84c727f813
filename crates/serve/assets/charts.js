// Charts over time, drawn by Plotly in the page's own colours. A chart is redrawn only when its rows, its size or the
// colours changed, and only while it is on the screen.

import { axisTime, figure } from "./format.js";
import { make } from "./dom.js";

const CONFIG = { displayModeBar: false, responsive: false, showTips: false, doubleClick: "reset", scrollZoom: false };
const charts = new Map(); // element → { build, seen, stale, drawn, width }

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The data colours in their order; the last one is for "all others". */
export const palette = () => ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7", "--c8", "--c9"].map(colour);

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const chart = charts.get(entry.target);
    if (!chart) continue;
    chart.seen = entry.isIntersecting;
    if (chart.seen && chart.stale) draw(entry.target, chart);
  }
}, { rootMargin: "200px" });

const sizer = new ResizeObserver((entries) => {
  for (const entry of entries) {
    const chart = charts.get(entry.target);
    if (chart?.drawn && Math.abs(chart.width - entry.contentRect.width) > 1) refresh(entry.target, chart);
  }
});

/** Shows what `build()` returns, `{ traces, layout, label, keys, table }`, in `element`. */
export function chart(element, build) {
  let known = charts.get(element);
  if (!known) {
    known = { seen: false, drawn: false };
    charts.set(element, known);
    watcher.observe(element);
    sizer.observe(element);
  }
  known.build = build;
  refresh(element, known);
}

/** Lets go of a chart whose panel is gone. */
export function forget(element) {
  charts.delete(element);
  watcher.unobserve(element);
  sizer.unobserve(element);
  Plotly.purge(element);
}

function refresh(element, chart) {
  chart.stale = true;
  if (chart.seen) requestAnimationFrame(() => { if (chart.stale && charts.get(element) === chart) draw(element, chart); });
}

function draw(element, chart) {
  const { traces, layout, label, keys, table } = chart.build();
  chart.stale = false;
  chart.drawn = true;
  chart.width = element.clientWidth;
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", label);
  const { xaxis, ...others } = layout;
  xaxis.nticks = Math.max(3, Math.floor(element.clientWidth / 90));
  Plotly.react(element, traces, { ...base(element), ...others, xaxis }, CONFIG);
  tabulate(element, table);
  legend(element, keys);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const [element, chart] of charts) refresh(element, chart);
});

function axes() {
  const axis = { gridcolor: colour("--grid"), zerolinecolor: colour("--line"), linecolor: colour("--line"), tickfont: { color: colour("--soft"), size: 11.5 }, fixedrange: true };
  return {
    xaxis: { ...axis, type: "date", showgrid: false, tickformat: "%H:%M", hoverformat: "%H:%M:%S", ticks: "outside", tickcolor: colour("--line"), ticklen: 4 },
    yaxis: { ...axis, rangemode: "tozero", nticks: 5, separatethousands: true },
  };
}

function base(element) {
  return {
    width: element.clientWidth,
    height: element.clientHeight,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--soft") },
    margin: { l: 40, r: 6, t: 6, b: 24 },
    hovermode: "x unified",
    hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink"), size: 12 } },
    showlegend: false,
    dragmode: false,
  };
}

const quantile = (values, share) => values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? 0;

/**
 * Where the axis ends: above the highest value, unless a few seconds (a source that caught up) tower over all others;
 * then above the others, so that they can be read.
 */
export function lineTop(values) {
  const most = quantile(values, 1);
  const usual = quantile(values, 0.75);
  return Math.max(1, 1.12 * (usual > 0 && most > 6 * usual ? 2 * usual : most));
}

/** One line over short windows, zero where nothing happened, and the median as a dotted one. `points` are `[ms, value]`, `range` is `[fromMs, toMs]`. */
export function line(points, range, unit, step = "second") {
  const values = points.map((point) => point[1]);
  const top = lineTop(values);
  const median = quantile(values, 0.5);
  return {
    traces: [{
      type: "scatter", mode: points.length > 1 ? "lines" : "markers", name: unit, x: points.map((point) => axisTime(point[0])), y: values,
      line: { color: colour("--c1"), width: 1.8, shape: "linear" }, fill: "tozeroy", fillcolor: translucent(colour("--c1"), 0.13),
      hovertemplate: `%{y:,} ${plain(unit)}<extra></extra>`,
    }, {
      type: "scatter", mode: "lines", hoverinfo: "skip", x: range.map(axisTime), y: [median, median],
      line: { color: colour("--faint"), width: 1, dash: "dot" },
    }],
    layout: {
      xaxis: { ...axes().xaxis, range: range.map(axisTime), tickformat: "%H:%M:%S" },
      yaxis: { ...axes().yaxis, range: [0, top] },
    },
    label: `Line of ${unit} for each ${step}: ${figure(values.at(-1) ?? 0)} in the newest, half of them above ${figure(median)}, ${figure(quantile(values, 1))} at most.`,
    table: { head: [step, unit], rows: points.map(([ms, value]) => [axisTime(ms).slice(0, 19), figure(value)]).reverse() },
  };
}

const DAY = 86_400_000;

/** How an axis from `from` to `to` says its times, with windows of about `stepMs`. */
function timeAxis(from, to, stepMs) {
  const { xaxis } = axes();
  const wide = to - from;
  const tickformat = stepMs >= 27 * DAY ? "%b %Y" : stepMs >= DAY || wide > 5 * DAY ? "%-d %b" : wide > 20 * 3600e3 ? "%-d %b %H:%M" : wide > 5 * 60e3 ? "%H:%M" : "%H:%M:%S";
  const hoverformat = stepMs >= 27 * DAY ? "%B %Y" : stepMs >= DAY ? "%-d %b %Y %H:%M" : wide > 20 * 3600e3 ? "%-d %b %H:%M" : stepMs >= 60e3 ? "%H:%M" : "%H:%M:%S";
  return { ...xaxis, range: [from, to].map(axisTime), tickformat, hoverformat };
}

/**
 * Series over windows: `series` are `{ name, values: Map(ms → number), colour, down }`, `times` the windows' starts in order.
 * Bars are stacked, and the newest window, which is still open, is drawn paler.
 */
export function windows({ series, times, stepMs, style, unit, fill, fromZero, uneven }) {
  const x = times.map(axisTime);
  const newest = times.at(-1);
  const sign = (one, value) => (value == null ? null : one.down ? -value : value);
  const y = (one) => times.map((at) => sign(one, one.values.get(at) ?? fill));
  const bars = style === "bars";
  const opacity = times.map((at) => (at === newest ? 0.5 : 1));
  const { yaxis } = axes();
  const few = times.length <= 40;
  const xaxis = timeAxis(times[0] - (bars ? 0 : stepMs / 2), newest + (bars ? stepMs : stepMs / 2), stepMs);
  // Months and days of a calendar have their marks where they begin; the axis would put the same month at several.
  if (uneven && times.length <= 12) Object.assign(xaxis, { tickmode: "array", tickvals: x });
  return {
    traces: series.map((one) => (bars ? {
      type: "bar", name: one.name, x, y: y(one), width: stepMs * 0.82, offset: stepMs * 0.09,
      marker: { color: one.colour, opacity, line: { width: 0 } }, hovertemplate: `%{y:,} ${plain(one.name)}<extra></extra>`,
    } : {
      type: "scatter", mode: few ? "lines+markers" : "lines", name: one.name, x, y: y(one), connectgaps: true,
      line: { color: one.colour, width: 1.8 }, marker: { color: one.colour, size: 5 }, hovertemplate: `%{y:,.6~g} ${plain(one.name)}<extra></extra>`,
    })),
    layout: {
      barmode: "relative",
      xaxis,
      yaxis: { ...yaxis, tickformat: "~s", rangemode: bars || fromZero ? "tozero" : "normal" },
    },
    keys: series.length > 1 ? series : null,
    label: `${unit} over ${times.length} windows${bars ? ", stacked" : ""}: ${series.map((one) => `${one.name} ${figure(one.values.get(newest) ?? fill ?? 0)} in the newest`).join(", ")}.`,
    table: {
      head: ["window", ...series.map((one) => one.name)],
      rows: times.map((at) => [axisTime(at).slice(0, 19), ...series.map((one) => figure(one.values.get(at) ?? fill))]).reverse(),
    },
  };
}

/** A point for each row: `series` are `{ name, points: [[ms, value]], colour }`. */
export function points({ series, from, to, stepMs, unit }) {
  const { yaxis } = axes();
  return {
    traces: series.map((one) => ({
      type: "scatter", mode: "markers", name: one.name, x: one.points.map(([ms]) => axisTime(ms)), y: one.points.map(([, value]) => value),
      marker: { color: one.colour, size: 7, opacity: 0.8 }, hovertemplate: `%{x}: %{y:,} ${plain(one.name)}<extra></extra>`,
    })),
    layout: { hovermode: "closest", xaxis: timeAxis(from, to, stepMs), yaxis: { ...yaxis, tickformat: "~s" } },
    keys: series.length > 1 ? series : null,
    label: `${unit}: ${series.reduce((sum, one) => sum + one.points.length, 0)} points.`,
    table: {
      head: ["time", "series", unit],
      rows: series.flatMap((one) => one.points.map(([ms, value]) => [axisTime(ms).slice(0, 19), one.name, figure(value)])).sort().reverse().slice(0, 500),
    },
  };
}

// Plotly reads some markup in its labels; names come from strangers.
const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("{", "(").replaceAll("}", ")");

function translucent(hex, alpha) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return `rgba(${r},${g},${b},${alpha})`;
}

/** The names of the series beside their colours, below the chart. */
function legend(element, keys) {
  let list = element.parentElement.querySelector(".legend");
  if (!list) {
    list = make("ul", "legend");
    element.after(list);
  }
  list.hidden = !keys;
  if (!keys) return;
  const known = keys.map(({ name, colour }) => name + colour).join();
  if (list.dataset.known === known) return;
  list.dataset.known = known;
  list.replaceChildren(...keys.map(({ name, colour }) => {
    const swatch = make("span", "swatch");
    swatch.style.background = colour;
    const item = make("li");
    const text = make("span", "key", name);
    text.title = name;
    item.append(swatch, text);
    return item;
  }));
}

/** The same numbers as a table below the chart, filled only while it is open. */
function tabulate(element, { head, rows }) {
  let details = element.parentElement.querySelector(".as-table");
  if (!details) {
    details = make("details", "as-table");
    const scroll = make("div", "scroll");
    scroll.append(make("table", "facts"));
    details.append(make("summary", "", "As a table"), scroll);
    details.addEventListener("toggle", () => details.fill());
    element.after(details);
  }
  details.fill = () => {
    if (!details.open) return;
    const table = details.querySelector("table");
    const line = (tag, cells) => {
      const row = make("tr");
      row.append(...cells.map((cell, at) => make(tag, at ? "number" : "", cell)));
      return row;
    };
    table.replaceChildren(line("th", head), ...rows.map((cells) => line("td", cells)));
  };
  details.fill();
}
