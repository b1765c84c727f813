// The audit: whether everything adds up, by the last count of the background audit, and if not, what does not.

import { count, millis, moment, span } from "./format.js";
import { id, make, say } from "./dom.js";

/** Fills the panel; `now` is the server's time in milliseconds. */
export function audit(status, now) {
  const { every_seconds: every, last, running, failed, last_success: success } = status.audit;
  const badge = id("audit-badge");
  const [state, word] = failed ? ["bad", "Could not be done"] : !last ? ["waiting", every ? "Not yet" : "Off"] : last.differences ? ["bad", "Does not add up"] : ["good", "Adds up"];
  badge.dataset.state = state;
  say(badge, word);
  say(id("audit-sub"), `log against upstream, views against log${running ? "; under way now" : ""}`);
  say(id("audit-words"), failed ?? words(last, every, success, now));
  const told = id("audit-told");
  const lines = last?.told ?? [];
  told.hidden = !lines.length;
  if (told.dataset.lines !== lines.join("\n")) {
    told.dataset.lines = lines.join("\n");
    told.replaceChildren(...lines.map((line) => make("li", "", line)));
  }
}

function words(last, every, success, now) {
  if (!last) return every ? `Counts everything again every ${span(every)}; the first count is still to come.` : "lakehead verify does the same when asked.";
  const sum = (of, key) => Object.values(of).reduce((total, one) => total + one[key], 0);
  const missing = sum(last.streams, "missing");
  const doubled = sum(last.streams, "doubled");
  const differ = last.differences === 1 ? "1 difference" : `${count(last.differences)} differences`;
  const found = last.differences ? `${differ}: ${count(missing)} upstream events missing, ${count(doubled)} kept twice, ${count(sum(last.views, "differences"))} in views` : "no difference";
  const before = last.differences && success ? ` Everything last added up at ${moment(millis(success), now)}.` : "";
  return `${count(last.events)} events and ${count(last.rows)} rows${last.whole ? "" : " that are new"}, ${found}; at ${moment(millis(last.at), now)}, in ${span(last.took_seconds)}.${before}`;
}
