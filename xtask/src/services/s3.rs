//! `s3`: a server of the S3 protocol that honours conditional PUT: versitygw where Go is, else moto.
//!
//! versitygw keeps objects as files and what it knows of them in a folder beside (never `--nometa`: then it ignores
//! `If-None-Match`). moto is a mock in Python that forgets everything at its end and checks no signature.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{
    instance::{Instance, cache},
    service::{Launch, Service},
    tool,
};
use crate::{command::on_path, http, setup};

/// The module with its version, and the program in it.
const GATEWAY: &str = "github.com/versity/versitygw/cmd/versitygw@v1.8.0";

/// The mock from PyPI.
const MOTO: &str = "moto[server]==5.2.5";

/// Building the gateway takes 150 s on two cores, after what it needs has come over the line.
const BUILT_WITHIN: Duration = Duration::from_secs(1200);

const REQUEST_WITHIN: Duration = Duration::from_secs(30);

const ACCESS_KEY: &str = "lakehead";
const SECRET_KEY: &str = "lakehead-secret";
const REGION: &str = "us-east-1";

pub(crate) struct S3;

impl Service for S3 {
    fn name(&self) -> &'static str {
        "s3"
    }

    fn lacks(&self) -> Option<String> {
        let is_here = gateway().is_file() || on_path("go") || on_path("python3");
        (!is_here).then(|| "both Go, which builds versitygw, and Python, which runs moto, are missing".to_owned())
    }

    fn smoke_lacks(&self) -> Option<String> {
        (!on_path("curl")).then(|| "curl is missing, which signs the requests".to_owned())
    }

    fn ports(&self) -> &'static [&'static str] {
        &["http"]
    }

    fn download(&self) -> Result<()> {
        if gateway().is_file() {
            return Ok(());
        }
        if on_path("go") {
            match build() {
                Err(error) if on_path("python3") => {
                    eprintln!("services: moto takes the place of versitygw: {error:#}")
                }
                built => return built,
            }
        }
        install_moto()
    }

    fn prepare(&self, instance: &Instance) -> Result<()> {
        let make = |folder: &str| {
            fs::create_dir_all(instance.folder().join(folder)).with_context(|| format!("making {folder}"))
        };
        make("data").and_then(|()| make("metadata"))
    }

    fn launches(&self, instance: &Instance) -> Result<Vec<Launch>> {
        let command = if gateway().is_file() {
            let mut command = Command::new(gateway());
            command.env("ROOT_ACCESS_KEY", ACCESS_KEY).env("ROOT_SECRET_KEY", SECRET_KEY);
            command.args(["--port", &instance.address("http"), "--region", REGION, "posix"]);
            // The file system need not have user attributes.
            command.args(["--sidecar", &instance.path("metadata"), &instance.path("data")]);
            command
        } else {
            let mut command = Command::new(moto().join("bin/moto_server"));
            command.args(["--host", "127.0.0.1", "--port", &instance.port("http").to_string()]);
            command
        };
        Ok(vec![Launch { name: "server", command, user: None, stop_signal: "TERM", ready }])
    }

    fn addresses(&self, instance: &Instance) -> Vec<(&'static str, String)> {
        vec![
            ("S3_URL", format!("http://{}", instance.address("http"))),
            ("S3_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("S3_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("S3_REGION", REGION.to_owned()),
        ]
    }

    fn smoke(&self, instance: &Instance) -> Result<()> {
        let url = |path: &str| format!("http://{}/{path}", instance.address("http"));
        let expect = |what: &str, expected: u16, words: &[&str]| match curl(words)? {
            (status, _) if status == expected => Ok(()),
            (status, body) => bail!("{what} was answered by {status}, not {expected}: {body}"),
        };
        let object = url("smoke/word");
        // With curl's own type, that of a form, moto keeps nothing.
        let only_new = ["-X", "PUT", "-H", "If-None-Match: *", "-H", "Content-Type: text/plain", &object];
        let put = |what, expected, word| expect(what, expected, &[only_new.as_slice(), &["-d", word]].concat());
        expect("making a bucket", 200, &["-X", "PUT", &url("smoke")])?;
        put("the first conditional PUT", 200, "hello")?;
        put("the second conditional PUT", 412, "other")?;
        match curl(&[&object])? {
            (200, body) if body == "hello" => Ok(()),
            (status, body) => bail!("`hello` was put, and getting it was answered by {status} {body:?}"),
        }
    }
}

fn gateway() -> PathBuf {
    let version = GATEWAY.rsplit('@').next().expect("the module has a version");
    cache().join(format!("versitygw-{version}/versitygw"))
}

fn build() -> Result<()> {
    eprintln!("services: Go builds {GATEWAY}");
    let folder = gateway().parent().map(Path::to_owned).context("it lies in a folder")?;
    let mut go = Command::new("go");
    go.env("GOBIN", folder).env("GOFLAGS", "-buildvcs=false").args(["install", GATEWAY]);
    tool::output(&go, BUILT_WITHIN).map(drop)
}

fn moto() -> PathBuf {
    cache().join("moto")
}

/// Installs moto into an environment of its own, once for each version.
fn install_moto() -> Result<()> {
    let stamp = moto().join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == MOTO) {
        return Ok(());
    }
    eprintln!("services: pip installs {MOTO}");
    setup::make_venv(&moto())?;
    let mut pip = Command::new(moto().join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", MOTO]);
    tool::output(&pip, BUILT_WITHIN)?;
    fs::write(&stamp, MOTO).with_context(|| format!("writing {}", stamp.display()))
}

/// Any answer will do: without a signature it is a refusal.
fn ready(instance: &Instance) -> Result<()> {
    http::get(&instance.address("http"), "/").map(drop)
}

/// One signed request by curl: the status and the body.
fn curl(words: &[&str]) -> Result<(u16, String)> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*", "--write-out", "\n%{http_code}"])
        .args(["--aws-sigv4", &format!("aws:amz:{REGION}:s3"), "--user", &format!("{ACCESS_KEY}:{SECRET_KEY}")])
        .args(["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
        .args(words);
    let said = tool::output(&curl, REQUEST_WITHIN)?;
    let (body, status) = said.rsplit_once('\n').context("curl wrote no status")?;
    Ok((status.parse().with_context(|| format!("curl wrote the status {status:?}"))?, body.to_owned()))
}
