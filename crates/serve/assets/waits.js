// What a panel's view or stream is doing, and what an empty panel waits for, in words.

import { count, span } from "./format.js";

/** `[state, word, why]` for the badge of a panel; without a word there is nothing to tell. */
export function standing(spec, status) {
  const view = spec.view && status?.views[spec.view];
  if (!status || !spec.view) {
    const stream = status?.streams[spec.stream];
    return stream?.cannot_write ? ["failed", "Cannot be written", stream.cannot_write] : ["", "", ""];
  }
  if (!view) return ["waiting", "Being replaced", "A reload is under way."];
  if (view.state === "failed" || view.failed) return ["failed", "Stands still", view.failed ?? ""];
  if (view.state === "building") return ["catching_up", `Building ${Math.floor(view.fraction * 100)} %`, "It is being built from the log; its numbers still grow."];
  if (view.next?.failed) return ["failed", "New one stands still", view.next.failed];
  if (view.next?.waits) return ["good", "New one waits for swap", "lakehead view swap"];
  if (view.next) return ["catching_up", view.next.state === "building" ? `New one: building ${Math.floor(view.next.fraction * 100)} %` : "New one: ready", "It is built beside this one and then takes its place."];
  return ["", "", ""];
}

/** What a panel without rows waits for. */
export function waitsFor(spec, status, answered) {
  if (!status) return "…";
  const stream = status.streams[spec.stream];
  const sources = Object.entries(status.sources).filter(([, source]) => (source.streams ?? [source.stream]).includes(spec.stream)).map(([name]) => name);
  const from = sources.length ? `the source ${sources.join(", ")} to bring the first event` : `the first event: POST /v1/streams/${spec.stream}/events`;
  if (!stream?.events) return `Nothing yet: stream ${spec.stream} waits for ${from}.`;
  if (!spec.view) return answered ? `None of the newest events is to be shown here.` : "…";
  const view = status.views[spec.view];
  if (!view) return "It is being replaced.";
  if (view.failed) return `It stands still and has no rows: ${view.failed}`;
  if (view.state === "building") return `It is being built from the log${view.seconds_left == null ? "" : `, ${span(view.seconds_left)} left`}.`;
  if (view.behind) return `It has ${count(view.behind)} events still to count.`;
  const events = stream.events === 1 ? "one event" : `${count(stream.events)} events`;
  if (view.without_time && view.without_time >= stream.events) return `None of the ${events} of ${spec.stream} has an event time: see event_time of the stream.`;
  if (!answered) return "…";
  if (view.rows) return "It has rows, but none in the newest windows.";
  const without = view.without_time ? `, ${count(view.without_time)} of them for want of an event time` : "";
  return `No row yet: none of the ${events} of ${spec.stream} has met its conditions${without}.`;
}
