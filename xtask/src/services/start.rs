//! Starts the processes of a service one after the other and waits until each answers.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{
    bound::{as_user, bound_to_starter},
    identity::Identity,
    instance::{self, Instance},
    service::{Launch, Service},
    state::{Member, State},
    stop,
    tool::tail,
};

/// Longest wait for one process to answer. The slowest takes 23 s on a busy machine of two cores.
const READY_WITHIN: Duration = Duration::from_secs(180);

/// Between two looks at whether it answers.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long the processes live when nobody takes them down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// Until `down`.
    UntilDown,
    /// At most as long as the thread that starts them.
    WithStarter,
}

/// Downloads what is missing, starts the service in `folder`, and returns once it answers. Where it does not, what was started is
/// ended and the logs stay.
pub(crate) fn start(service: &dyn Service, folder: &Path, lifetime: Lifetime) -> Result<Instance> {
    service.download().with_context(|| format!("downloading {}", service.name()))?;
    let instance = Instance::make(folder.to_owned(), service.ports(), service.port_max())?;
    service.prepare(&instance).with_context(|| format!("preparing {}", service.name()))?;
    let addresses = service.addresses(&instance).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let mut state = State { ports: instance.ports().to_vec(), addresses, ..State::default() };
    for launch in service.launches(&instance)? {
        if let Err(error) = start_one(launch, &instance, &mut state, lifetime) {
            stop::stop(folder).context("ending what had been started")?;
            return Err(error.context(format!("starting {}", service.name())));
        }
    }
    state.has_answered = true;
    state.write(instance.folder())?;
    Ok(instance)
}

fn start_one(launch: Launch, instance: &Instance, state: &mut State, lifetime: Lifetime) -> Result<()> {
    let (name, stop_signal, ready) = (launch.name, launch.stop_signal, launch.ready);
    let log = instance.log(name);
    let identity = spawn(launch, &log, lifetime).with_context(|| format!("starting its {name}"))?;
    let member = Member { name: name.to_owned(), identity: identity.clone(), stop_signal: stop_signal.to_owned() };
    state.members.push(member);
    // Before anything else can fail: what is not written down is never ended.
    state.write(instance.folder())?;
    let begun = Instant::now();
    loop {
        let answer = ready(instance);
        // Asked after the answer: one that comes from another process, on a port that was taken meanwhile, does not count.
        if !identity.is_running() {
            bail!("its {name} ended before it answered; {}", log_end(&log));
        }
        match answer {
            Ok(()) => return Ok(()),
            Err(missing) if begun.elapsed() > READY_WITHIN => {
                bail!("its {name} did not answer within {READY_WITHIN:?} ({missing:#}); {}", log_end(&log))
            }
            Err(_) => sleep(LOOK_EVERY),
        }
    }
}

/// Starts a process that leads a group of its own, so that a Ctrl-C at the terminal does not reach it.
fn spawn(launch: Launch, log: &Path, lifetime: Lifetime) -> Result<Identity> {
    let mut command = match lifetime {
        Lifetime::WithStarter => bound_to_starter(&launch.command, launch.stop_signal, launch.user),
        Lifetime::UntilDown => as_user(launch.command, launch.user),
    };
    let file = File::create(log).with_context(|| format!("making {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
    let child = command.spawn().with_context(|| format!("{} could not be started", command.get_program().display()))?;
    // The child is not waited for: whether it runs is seen from its identity, by this process and by later ones.
    Identity::of(child.id()).with_context(|| log_end(log))
}

/// The end of a log, with its path.
fn log_end(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    format!("the end of {}:\n{}", log.display(), tail(&text))
}

/// Where `up` runs a service, and where its smoke test does: beside each other, so that neither disturbs the other.
pub(crate) fn folder(service: &dyn Service, lifetime: Lifetime) -> PathBuf {
    match lifetime {
        Lifetime::UntilDown => instance::root().join(service.name()),
        Lifetime::WithStarter => instance::root().join("smoke").join(service.name()),
    }
}
