// The stream's state in plain words: what the header says, and what the notice below it says when something is wrong.

import { millis, moment, span } from "./format.js";
import { id, say } from "./dom.js";

// The worst state of any source is the state of the whole.
const GRAVITY = ["failed", "waiting", "away", "opening", "catching_up", "live", "ended"];

export const WORDS = {
  opening: "Connecting", catching_up: "Catching up", live: "Live", away: "Upstream away",
  waiting: "Waiting to write", ended: "Ended", failed: "Failed", lost: "Connection lost", pushes: "Open for pushes",
};

export const SINK_WORDS = {
  opening: "Connecting", delivering: "Delivering", caught_up: "Caught up", away: "Target away",
  waiting: "Waiting to write", failed: "Failed", stopped: "Stopped",
};

/** Shows the state of `status`; `now` is the server's time in milliseconds. */
export function state(status, now) {
  const sources = Object.entries(status.sources);
  const refused = Object.entries(status.streams).find(([, stream]) => stream.cannot_write);
  const broken = Object.entries(status.views).find(([, view]) => view.failed);
  const worst = sources.toSorted((a, b) => GRAVITY.indexOf(a[1].state) - GRAVITY.indexOf(b[1].state))[0];
  const word = refused ? "failed" : worst?.[1].state ?? "pushes";

  let short = WORDS[word] ?? word;
  let detail = "";
  let notice = null;
  if (refused) {
    short = "Cannot write";
    notice = [`Stream ${refused[0]} cannot be written: ${refused[1].cannot_write}. What is kept stays readable.`];
  } else if (worst) {
    const [name, source] = worst;
    const who = sources.length > 1 ? `${name}: ` : "";
    const since = moment(millis(source.since), now);
    if (word === "away") {
      notice = [`${who}Upstream away since ${since}, `, retryWords(source, now), `: ${source.error}`];
    } else if (word === "waiting") {
      notice = [`${who}Waiting since ${since} until the store can write again: ${source.error}`];
    } else if (word === "failed") {
      notice = [`${who}Failed at ${since} and needs a person: ${source.error}`];
    } else if (word === "catching_up" && source.progress) {
      detail = `${span((now - millis(source.progress)) / 1000)} behind`;
    }
  }
  if (!notice && broken) notice = [`View ${broken[0]} stands still: ${broken[1].failed}`];
  if (!notice) notice = undelivered(status, now);
  show(word, short, detail, notice);
}

/** Shows that this page has lost Lakehead itself. */
export function lost(sinceMs) {
  show("lost", WORDS.lost, "", [`This page lost its connection to Lakehead at ${moment(sinceMs, Date.now())} and keeps trying. The figures are from then.`]);
}

// The worst of the sinks, where one does not deliver.
function undelivered(status, now) {
  const sinks = Object.entries(status.sinks ?? {});
  const [name, sink] = ["failed", "waiting", "away"].map((word) => sinks.find(([, one]) => one.state === word)).find(Boolean) ?? [];
  if (!sink) return null;
  const since = moment(millis(sink.since), now);
  if (sink.state === "failed") return [`Sink ${name} failed at ${since} and needs a person: ${sink.error}`];
  if (sink.state === "waiting") return [`Sink ${name} waits since ${since} until the store can write again: ${sink.error}`];
  return [`Sink ${name}: target away since ${since}, `, retryWords(sink, now), `: ${sink.error}`];
}

function retryWords(source, now) {
  const left = (millis(source.next_try) - now) / 1000;
  return left > 0.5 ? `trying again in ${Math.ceil(left)} s` : "trying again now";
}

// What changes every second (how far behind, when the next try is) stands apart and is not read out each time.
function show(word, short, detail, notice) {
  id("state").dataset.state = word;
  say(id("state-text"), short);
  say(id("state-detail"), detail);
  document.title = word === "live" ? "Lakehead" : `${short} · Lakehead`;
  id("notice").hidden = !notice;
  if (notice) {
    const [before, counting = "", after = ""] = notice;
    say(id("notice-before"), before);
    say(id("notice-counting"), counting);
    say(id("notice-after"), after);
  }
}
