//! An HTTP upstream that sends exactly the bytes a test says, and stalls or hangs up where it says.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What the upstream does next on a connection. After the last act it hangs up.
#[derive(Clone, Debug)]
pub enum Act {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends nothing more, and does not hang up either.
    Hang,
    /// Hangs up with a TCP reset.
    Reset,
}

impl Act {
    /// The head of an event stream whose end is the connection's end.
    #[must_use]
    pub fn stream() -> Self {
        Self::Send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n:ok\n\n".to_vec())
    }

    /// A whole answer that is no stream.
    #[must_use]
    pub fn answer(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Send(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes())
    }

    /// Sends `text`.
    #[must_use]
    pub fn send(text: impl Into<Vec<u8>>) -> Self {
        Self::Send(text.into())
    }
}

/// A running upstream. It ends when it is dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Starts one on a free port. `script` is asked what to do with each connection: its number, from 0, and the head
    /// of its request.
    pub async fn start(script: impl Fn(usize, &str) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        let script = Arc::new(script);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut socket, _)) = listener.accept().await {
                let (script, seen) = (script.clone(), seen.clone());
                connections.spawn(async move {
                    let Some(head) = read_head(&mut socket).await else { return };
                    let number = {
                        let mut seen = seen.lock().expect("no test panics while it holds the lock");
                        seen.push(head.clone());
                        seen.len() - 1
                    };
                    play(socket, script(number, &head)).await;
                });
            }
        });
        Self { address, requests, task }
    }

    /// `http://127.0.0.1:port` and this path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The heads of the requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no test panics while it holds the lock").clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_head(socket: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

async fn play(mut socket: TcpStream, acts: Vec<Act>) {
    for act in acts {
        match act {
            Act::Send(bytes) => {
                if socket.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Act::Hang => std::future::pending::<()>().await,
            Act::Reset => {
                // With a linger of zero a close is a reset.
                let _ = socket.set_zero_linger();
                return;
            }
        }
    }
    let _ = socket.shutdown().await;
}
