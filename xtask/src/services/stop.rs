//! Ends the processes of a service and removes what they wrote, except their logs.

use std::{
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::{
    identity::Identity,
    instance,
    state::{Member, State},
};

/// Longest wait for a process to finish in good order. Cassandra takes 5 s.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Longest wait after SIGKILL: the kernel only has to give its memory back.
const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// Between two looks at whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Ends what runs in a folder, last started first. Whether anything was there.
pub(crate) fn stop(folder: &Path) -> Result<bool> {
    let Some(state) = State::read(folder)? else { return Ok(false) };
    for member in state.members.iter().rev() {
        end(member, STOP_WITHIN)?;
    }
    instance::clear_but_logs(folder)?;
    Ok(true)
}

/// Asks a process to finish, and kills it when it does not.
fn end(member: &Member, within: Duration) -> Result<()> {
    let it = &member.identity;
    it.signal(&member.stop_signal)?;
    if has_ended(it, within) {
        return Ok(());
    }
    eprintln!("{} (pid {}) did not finish within {within:?}: it is killed", member.name, it.pid());
    it.kill_group()?;
    if !has_ended(it, KILLED_WITHIN) {
        bail!("{} (pid {}) has not ended {KILLED_WITHIN:?} after SIGKILL", member.name, it.pid());
    }
    Ok(())
}

fn has_ended(it: &Identity, within: Duration) -> bool {
    let begun = Instant::now();
    while it.is_running() {
        if begun.elapsed() > within {
            return false;
        }
        sleep(LOOK_EVERY);
    }
    true
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::process::CommandExt,
        process::{Child, Command},
    };

    use super::*;

    fn running(stop_signal: &str) -> (Child, Member) {
        let child = Command::new("sleep").arg("60").process_group(0).spawn().expect("sleep");
        let identity = Identity::of(child.id()).expect("it runs");
        (child, Member { name: "server".to_owned(), identity, stop_signal: stop_signal.to_owned() })
    }

    #[test]
    fn a_service_is_ended_and_its_logs_stay() {
        let folder = std::env::temp_dir().join(format!("lakehead-stop-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("server.log"), "said").expect("a log");
        let (mut child, member) = running("TERM");
        State { members: vec![member.clone()], ..State::default() }.write(&folder).expect("a state");
        assert!(stop(&folder).expect("ended"));
        assert!(!member.identity.is_running() && folder.join("server.log").exists());
        assert!(!stop(&folder).expect("nothing is there any more"));
        child.wait().expect("it has ended");
        fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    fn a_process_that_does_not_finish_is_killed() {
        // SIGURG is ignored where nobody asks for it (signal(7)).
        let (mut child, member) = running("URG");
        end(&member, Duration::from_millis(50)).expect("killed");
        assert!(!child.wait().expect("it has ended").success());
    }
}
