// The list of the newest events. A button holds it still so that one can read and click.

import { clock, delta, millis } from "./format.js";
import { id, make, pageLink, say } from "./dom.js";

// More new rows at once than this are not marked: a list that flashes all over shows nothing.
const MARKED_MAX = 6;

let newest = -1;
let held = false;
let pointed = false; // Under the pointer or the focus nothing moves away.

/** Shows `rows`, newest first and at least one. */
export function events(panel, rows) {
  if (held || pointed) return;
  const list = id("events-list");
  const fresh = rows.filter((row) => row.event_offset > newest).length;
  const items = rows.map((row, at) => item(row, at < fresh && fresh <= MARKED_MAX));
  newest = rows[0].event_offset;
  list.replaceChildren(...items);
  say(panel.querySelector(".sub"), `to offset ${newest.toLocaleString("en")}`);
}

function item(row, fresh) {
  const one = make("li", fresh ? "fresh" : "");
  const about = make("div", "about");
  about.append(
    make("span", "", clock(millis(row.event_time))),
    make("span", "", row.wiki ?? "–"),
    make("span", "kind", row.bot ? `${row.type ?? "event"} · bot` : row.type ?? "event"),
    make("span", "who", row.user ?? ""),
  );
  one.append(pageLink(row.server_name, row.title, "title"), change(row), about);
  return one;
}

function change({ type, length_old: before, length_new: after }) {
  if (after == null || (type !== "edit" && type !== "new")) return make("span", "delta", "");
  const by = after - (before ?? 0);
  return make("span", `delta ${by > 0 ? "plus" : by < 0 ? "minus" : ""}`, delta(by));
}

for (const [begins, ends] of [["pointerenter", "pointerleave"], ["focusin", "focusout"]]) {
  id("events-list").addEventListener(begins, () => { pointed = true; });
  id("events-list").addEventListener(ends, () => { pointed = false; });
}

id("hold").addEventListener("click", ({ currentTarget }) => {
  held = !held;
  currentTarget.setAttribute("aria-pressed", String(held));
  say(currentTarget, held ? "Held" : "Hold");
});
