// Lakehead's dashboard. The server pushes a status every second, the list of panels when it changes, and the rows of the
// panels on the screen whenever they changed; this file hands each to the part of the page that shows it. The page says which
// panels are seen. There is no other traffic, and none to any other host.

import { audit } from "./audit.js";
import { clock, millis } from "./format.js";
import { connect } from "./live.js";
import { facts } from "./facts.js";
import { id, say } from "./dom.js";
import { lost, state } from "./state.js";
import { layOut, moveOn, rowsOf, seen, statusOf } from "./panels.js";
import { tiles } from "./tiles.js";

let now = Date.now();

const live = connect({
  status(status) {
    now = millis(status.now);
    const time = id("clock");
    time.dateTime = status.now;
    say(time, clock(now));
    state(status, now);
    tiles(status, now);
    facts(status, now);
    audit(status, now);
    statusOf(status, now);
    moveOn(now);
    document.body.dataset.snapshots = String(Number(document.body.dataset.snapshots ?? 0) + 1);
  },
  panels: layOut,
  panel(document) { rowsOf(document, now); },
  lost,
});

seen(live.sees);
