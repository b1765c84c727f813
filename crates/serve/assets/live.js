// The connection to Lakehead: one stream of server-sent events, opened while the page is seen and closed while it is
// hidden, so that a forgotten tab costs nothing. Says when it is lost and tries again by itself. Tells the server which
// panels are on the screen, so that no other is asked for.

const SILENCE_MS = 8000; // The server speaks at least once a second; eight silent seconds are a lost connection.
const RETRY_MS = [500, 1000, 2000, 4000, 5000];
const SAY_AFTER_MS = 120; // While one scrolls, what is seen changes often.

/** Calls `hear.status(object)`, `hear.panels(object)`, `hear.panel(object)` and `hear.lost(sinceMs)`. */
export function connect(hear) {
  let source = null;
  let heardAt = Date.now();
  let failures = 0;
  let timer = null;
  let client = null;
  let sees = [];
  let saying = null;

  function open() {
    clearTimeout(timer);
    source = new EventSource("/v1/live");
    heardAt = Date.now();
    const heard = (tell) => (message) => {
      heardAt = Date.now();
      failures = 0;
      tell(JSON.parse(message.data));
    };
    source.addEventListener("hello", heard((hello) => { client = hello.client; tell(); }));
    source.addEventListener("status", heard(hear.status));
    source.addEventListener("panels", heard(hear.panels));
    source.addEventListener("panel", heard(hear.panel));
    source.onerror = again;
  }

  function close() {
    clearTimeout(timer);
    source?.close();
    source = null;
    client = null;
  }

  function again() {
    close();
    hear.lost(heardAt);
    timer = setTimeout(open, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]);
    failures += 1;
  }

  // One that fails is said again with the next change, or when the connection is opened anew.
  function tell() {
    clearTimeout(saying);
    if (client == null) return;
    const body = JSON.stringify(sees);
    saying = setTimeout(() => { if (client != null) fetch(`/v1/live/${client}`, { method: "POST", body }).catch(() => {}); }, SAY_AFTER_MS);
  }

  setInterval(() => { if (source && Date.now() - heardAt > SILENCE_MS) again(); }, 1000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else if (!source) open();
  });
  window.addEventListener("pagehide", close);
  if (!document.hidden) open();

  return {
    /** The names of the panels on the screen, from now on. */
    sees(names) {
      sees = names;
      tell();
    },
  };
}
