// Charts over time, drawn by Plotly in the page's own colours. A chart is redrawn only when its rows, its size or the
// colours changed, and only while it is on the screen.

import { axisTime, count } from "./format.js";
import { make } from "./dom.js";

const CONFIG = { displayModeBar: false, responsive: false, showTips: false, doubleClick: "reset", scrollZoom: false };
const MINUTE = 60_000;
const charts = new Map(); // element → { build, seen, stale, drawn, width }

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The data colours in their order; the last one is for "all others". */
export const palette = () => ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7", "--c8", "--c9"].map(colour);

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const chart = charts.get(entry.target);
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

function refresh(element, chart) {
  chart.stale = true;
  if (chart.seen) requestAnimationFrame(() => { if (chart.stale) draw(element, chart); });
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
  if (keys) legend(element, keys);
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

/** One line over seconds, zero where nothing happened, and the median as a dotted one. `points` are `[ms, value]`, `range` is `[fromMs, toMs]`. */
export function line(points, range, unit) {
  const values = points.map((point) => point[1]);
  const top = lineTop(values);
  const median = quantile(values, 0.5);
  return {
    traces: [{
      type: "scatter", mode: points.length > 1 ? "lines" : "markers", name: unit, x: points.map((point) => axisTime(point[0])), y: values,
      line: { color: colour("--c1"), width: 1.8, shape: "linear" }, fill: "tozeroy", fillcolor: translucent(colour("--c1"), 0.13),
      hovertemplate: `%{y:,} ${unit}<extra></extra>`,
    }, {
      type: "scatter", mode: "lines", hoverinfo: "skip", x: range.map(axisTime), y: [median, median],
      line: { color: colour("--faint"), width: 1, dash: "dot" },
    }],
    layout: {
      xaxis: { ...axes().xaxis, range: range.map(axisTime), tickformat: "%H:%M:%S" },
      yaxis: { ...axes().yaxis, range: [0, top] },
    },
    label: `Line of ${unit} for each second: ${count(values.at(-1) ?? 0)} in the newest, half of them above ${count(median)}, ${count(quantile(values, 1))} at most.`,
    table: { head: ["second", unit], rows: points.map(([ms, value]) => [axisTime(ms), count(value)]).reverse() },
  };
}

/**
 * Bars for each minute, stacked. `series` are `{ name, values: Map(ms → value), colour }`; the newest minute is
 * still open and is drawn paler.
 */
export function minutes(series, range, unit) {
  const [from, newest] = range;
  const times = [];
  for (let at = from; at <= newest; at += MINUTE) times.push(at);
  const x = times.map(axisTime);
  const opacity = times.map((at) => (at === newest ? 0.5 : 1));
  const { xaxis, yaxis } = axes();
  return {
    traces: series.map((one) => ({
      type: "bar", name: one.name, x, y: times.map((at) => one.values.get(at) ?? 0), width: MINUTE * 0.82, offset: MINUTE * 0.09,
      marker: { color: one.colour, opacity, line: { width: 0 } }, hovertemplate: `%{y:,} ${one.name}<extra></extra>`,
    })),
    layout: {
      barmode: "relative",
      xaxis: { ...xaxis, range: [axisTime(from), axisTime(newest + MINUTE)], hoverformat: "%H:%M" },
      yaxis: { ...yaxis, tickformat: "~s" },
    },
    keys: series,
    label: `${unit} for each minute, stacked: ${series.map((one) => `${one.name} ${count(sum(one.values))}`).join(", ")}.`,
    table: {
      head: ["minute", ...series.map((one) => one.name)],
      rows: times.map((at) => [axisTime(at), ...series.map((one) => count(one.values.get(at) ?? 0))]).reverse(),
    },
  };
}

const sum = (values) => { let total = 0; for (const value of values.values()) total += value; return total; };

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
  const known = keys.map(({ name, colour }) => name + colour).join();
  if (list.dataset.known === known) return;
  list.dataset.known = known;
  list.replaceChildren(...keys.map(({ name, colour }) => {
    const swatch = make("span", "swatch");
    swatch.style.background = colour;
    const item = make("li");
    item.append(swatch, name);
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
