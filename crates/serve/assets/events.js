// The newest events of a stream as a list. A button holds it still so that one can read and click; while it stands still for
// whatever reason it says how many are newer.

import { address } from "./links.js";
import { cell, count, delta, millis, stamp } from "./format.js";
import { linked, make, say } from "./dom.js";

// More new rows at once than this are not marked: a list that flashes all over shows nothing.
const MARKED_MAX = 6;

/** Builds the list into `panel`; what comes back shows rows, the newest first. */
export function eventList(panel, spec) {
  const list = make("ol", "events");
  const hold = make("button", "hold", "Hold");
  hold.type = "button";
  hold.title = "Keep this list still";
  hold.setAttribute("aria-pressed", "false");
  panel.caption.append(hold);
  panel.body.append(list);

  let shown = []; // The rows on the screen,
  let newest = []; // and those that came last.
  let now = 0;
  let held = false;
  let pointed = false; // Under the pointer, or the focus of the keyboard, nothing moves away.

  const still = () => held || pointed;

  function show() {
    const last = shown[0]?.o ?? -1;
    const fresh = newest.filter((row) => row.o > last).length;
    if (still() && shown.length) {
      say(hold, fresh ? `${count(fresh)}${fresh === newest.length ? "+" : ""} newer` : held ? "Held" : "Hold");
      return;
    }
    say(hold, "Hold");
    list.replaceChildren(...newest.map((row, at) => item(row, at < fresh && fresh <= MARKED_MAX, spec, now)));
    shown = newest;
  }

  const point = (on) => { pointed = on; show(); };
  list.addEventListener("pointerenter", () => point(true));
  list.addEventListener("pointerleave", () => point(false));
  list.addEventListener("focusin", (event) => { if (event.target.matches(":focus-visible")) point(true); });
  list.addEventListener("focusout", () => point(false));
  hold.addEventListener("click", () => {
    held = !held;
    hold.setAttribute("aria-pressed", String(held));
    if (!held) pointed = false;
    show();
  });

  return (rows, at) => {
    newest = rows;
    now = at;
    show();
    panel.sub(`to offset ${count(rows[0].o)}`);
  };
}

function item(row, fresh, spec, now) {
  const one = make("li", fresh ? "fresh" : "");
  const about = make("div", "about");
  about.append(make("span", "", stamp(millis(row.t), now)));
  const [first, ...rest] = row.c;
  rest.forEach((value, at) => {
    const name = spec.columns[at + 1];
    if (value == null || value === false || value === "") return;
    const text = make("span", at === rest.length - 1 ? "who" : "", value === true ? name : cell(value, millis(row.t)));
    text.title = `${name}: ${value}`;
    about.append(text);
  });
  const title = first == null ? "–" : typeof first === "boolean" ? `${spec.columns[0]}: ${first ? "yes" : "no"}` : String(first);
  const by = row.d;
  const change = make("span", `delta ${by > 0 ? "plus" : by < 0 ? "minus" : ""}`, by == null ? "" : delta(by));
  one.append(linked(address(spec.link, row.l), title, "title"), change, about);
  return one;
}
