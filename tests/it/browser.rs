//! A real Chromium, driven over WebDriver (W3C) by the few commands that the dashboard's tests need.
//!
//! Each browser has a folder of its own and goes when it is dropped. It is told to fetch nothing by itself, and it
//! reports every request that it made, so that a test can see that the page asked for nothing from outside.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Longest time of one command; opening Chromium on a busy machine takes the longest.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(90);
/// Longest wait for anything on the page.
const WAIT_MAX: Duration = Duration::from_secs(120);
/// Between two looks at the page.
const LOOK_EVERY: Duration = Duration::from_millis(50);

const ARGUMENTS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--hide-scrollbars",
];

/// One browser with one page.
pub(crate) struct Browser {
    driver: Child,
    address: String,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Opens one; the error says what is missing on this machine.
    pub(crate) fn open() -> Result<Self, String> {
        let there = |name: &str| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success());
        for (program, package) in [("chromium", "chromium"), ("chromedriver", "chromium-driver")] {
            if !there(program) {
                return Err(format!("{program} not found (Debian's package {package})"));
            }
        }
        let profile = tempfile::tempdir().map_err(|error| format!("no folder for a profile: {error}"))?;
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("chromedriver does not start: {error}"))?;
        let port = port(&mut driver);
        let mut browser =
            Self { driver, address: format!("127.0.0.1:{port}"), session: String::new(), _profile: profile };
        browser.begin();
        Ok(browser)
    }

    fn begin(&mut self) {
        let profile = format!("--user-data-dir={}", self._profile.path().display());
        let arguments: Vec<_> = ARGUMENTS.iter().map(|a| (*a).to_owned()).chain([profile]).collect();
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        }}});
        let begun = self.command("POST", "/session", &wanted);
        self.session = begun["sessionId"].as_str().expect("a session has an id").to_owned();
    }

    /// Opens an address.
    pub(crate) fn go(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// The value of a JavaScript expression in the page.
    pub(crate) fn value(&self, expression: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": format!("return ({expression});"), "args": [] }))
    }

    /// Waits until a JavaScript expression is true in the page. `what` says what is waited for. What it asks for may not be there
    /// yet: an error is as good as false.
    pub(crate) fn until(&self, what: &str, expression: &str) {
        let begun = Instant::now();
        let tried = format!(
            "(() => {{ try {{ return Boolean({expression}); }} catch (error) {{ return String(error); }} }})()"
        );
        loop {
            let found = self.value(&tried);
            if found == true {
                break;
            }
            assert!(
                begun.elapsed() < WAIT_MAX,
                "waited in vain for {what}: {found}; the page says:\n{}\n{:?}",
                self.value("document.body.innerText"),
                self.console()
            );
            std::thread::park_timeout(LOOK_EVERY);
        }
    }

    /// The text that a reader sees at `selector`.
    pub(crate) fn text(&self, selector: &str) -> String {
        let text = self.value(&format!("document.querySelector({}).innerText", json!(selector)));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Sets the page's size in CSS pixels; a narrow one behaves as a phone.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", &screen);
    }

    /// Prefers `light` or `dark`, as the system's setting would.
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// Keeps a picture of the whole page.
    pub(crate) fn screenshot(&self, path: &Path) {
        let taken = self.devtools("Page.captureScreenshot", &json!({ "format": "png", "captureBeyondViewport": true }));
        let png = base64(taken["data"].as_str().expect("a picture"));
        assert!(png.starts_with(b"\x89PNG"), "a picture is a PNG");
        std::fs::create_dir_all(path.parent().expect("a folder for pictures")).expect("a folder for pictures");
        std::fs::write(path, png).expect("a picture can be written");
    }

    /// What the page has complained about since this was last asked: script errors, refused loads.
    pub(crate) fn console(&self) -> Vec<String> {
        self.log("browser").iter().map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Every address of the network that the browser has asked for since this was last asked.
    pub(crate) fn requests(&self) -> Vec<String> {
        let messages = self.log("performance");
        let events = messages
            .iter()
            .filter_map(|entry| serde_json::from_str::<Value>(entry["message"].as_str().unwrap_or_default()).ok());
        events
            .filter(|event| event["message"]["method"] == "Network.requestWillBeSent")
            .filter_map(|event| event["message"]["params"]["request"]["url"].as_str().map(str::to_owned))
            // What Chromium carries in itself (`chrome:`, `data:`) is no request to anybody.
            .filter(|url| ["http:", "https:", "ws:", "wss:"].iter().any(|scheme| url.starts_with(scheme)))
            .collect()
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        self.post("/se/log", &json!({ "type": kind })).as_array().cloned().unwrap_or_default()
    }

    fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.command("POST", &format!("/session/{}{path}", self.session), body)
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = exchange(&self.address, method, path, &body.to_string())
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let mut answer: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
        let value = answer["value"].take();
        assert!(value["error"].is_null(), "{method} {path}: {}: {}", value["error"], value["message"]);
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium ends with its session; the driver alone would leave it running. Both fail where they are gone.
        let _ = exchange(&self.address, "DELETE", &format!("/session/{}", self.session), "");
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The port that the driver says it listens on.
fn port(driver: &mut Child) -> u16 {
    let mut said = BufReader::new(driver.stdout.take().expect("its output was asked for"));
    let mut line = String::new();
    loop {
        line.clear();
        let bytes = said.read_line(&mut line).expect("the driver's output can be read");
        assert!(bytes > 0, "chromedriver ended without saying its port");
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            // Whatever it says later is of no interest, but it must not block on a full pipe.
            std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
            return port.trim().trim_end_matches('.').parse().expect("a port");
        }
    }
}

/// One request and its answer's body. The driver speaks HTTP/1.1 only, and keeps the connection open whatever it is
/// told, so the length in the head says where the answer ends.
fn exchange(address: &str, method: &str, path: &str, body: &str) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(COMMAND_TIME_MAX))?;
    let length = body.len();
    write!(
        socket,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = BufReader::new(socket);
    let mut length = 0;
    loop {
        let mut line = String::new();
        answer.read_line(&mut line)?;
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    answer.read_exact(&mut body)?;
    String::from_utf8(body).map_err(std::io::Error::other)
}

/// RFC 4648, section 4.
fn base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => panic!("not base64: {byte}"),
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes().take_while(|byte| *byte != b'=') {
        bits = bits << 6 | u32::from(value(byte));
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}
