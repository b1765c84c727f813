// The five figures at the top, all from one status.

import { bytes, count, millis, moment, rate, span } from "./format.js";
import { id, say } from "./dom.js";

const INTERNAL = new Set(["rejects", "gaps"]);

/** Fills the tiles from the streams that hold events proper; `now` is the server's time in milliseconds. */
export function tiles(status, now) {
  const kept = Object.entries(status.streams).filter(([name]) => !INTERNAL.has(name)).map(([, stream]) => stream);
  const total = (key) => kept.reduce((sum, stream) => sum + (stream[key] ?? 0), 0);
  const events = total("events");
  const raw = total("raw_bytes");
  const stored = total("stored_bytes");
  const fresh = kept.map((stream) => stream.freshness_seconds).filter((age) => age != null);
  const refused = status.streams.rejects?.events ?? 0;

  say(id("rate"), rate(total("rate_now")));
  say(id("rate-note"), `${rate(total("rate_10s"))} over ten seconds`);
  say(id("events"), count(events));
  say(id("events-note"), refused ? `${count(refused)} refused` : "none refused");
  say(id("freshness"), fresh.length ? span(Math.min(...fresh)) : "–");
  say(id("freshness-note"), fresh.length ? "since the newest event came" : "no event yet");
  // The disk is measured now and then only; what the streams hold is known at once.
  say(id("disk"), bytes(Math.max(status.disk.data_bytes, stored)));
  say(id("disk-note"), `${bytes(status.disk.free_bytes)} free`);
  say(id("ratio"), stored && raw ? `${(raw / stored).toFixed(1)} : 1` : "–");
  say(id("ratio-note"), raw ? `${bytes(raw)} of events in ${bytes(stored)}` : "");
  say(id("version"), `Lakehead ${status.version}, up ${span(status.uptime_seconds)} since ${moment(millis(status.started), now)} UTC`);
}
