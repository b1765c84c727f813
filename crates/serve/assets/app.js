// Lakehead's dashboard. The server pushes a status every second and the rows of a panel whenever they changed; this
// file hands each to the part of the page that shows it. There is no other traffic, and none to any other host.

import { audit } from "./audit.js";
import { clock, millis } from "./format.js";
import { connect } from "./live.js";
import { facts } from "./facts.js";
import { id, say } from "./dom.js";
import { lost, state } from "./state.js";
import { panel } from "./panels.js";
import { tiles } from "./tiles.js";

const QUIET_MS = 1500; // The server sends rows only when they changed; after this the line is moved on without it.

let now = Date.now();
let seconds = { rows: [], heardAt: 0 };

connect({
  status(status) {
    now = millis(status.now);
    const time = id("clock");
    time.dateTime = status.now;
    say(time, clock(now));
    state(status, now);
    tiles(status, now);
    facts(status, now);
    audit(status, now);
    if (now - seconds.heardAt > QUIET_MS && seconds.rows.length) panel("edits_per_second", seconds.rows, now);
    document.body.dataset.snapshots = String(Number(document.body.dataset.snapshots ?? 0) + 1);
  },
  panel({ panel: name, rows }) {
    if (name === "edits_per_second") seconds = { rows, heardAt: now };
    panel(name, rows, now);
  },
  lost,
});
