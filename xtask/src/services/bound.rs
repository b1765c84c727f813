//! Processes that live at most as long as who starts them, and as whom they run.

use std::{os::unix::process::CommandExt, process::Command};

use super::service::User;
use crate::command::on_path;

/// The same command with the kernel's promise of `signal` when the thread that starts it has ended (prctl(2),
/// PR_SET_PDEATHSIG). A change of user takes that promise back, so `setpriv` does both, in the right order. Where there is no
/// `setpriv` only the user is changed. How the streams are connected is left to the caller.
pub(crate) fn bound_to_starter(command: &Command, signal: &str, user: Option<User>) -> Command {
    let mut bound = Command::new("setpriv");
    if !on_path("setpriv") {
        bound = as_user(Command::new(command.get_program()), user);
    } else {
        bound.args(["--pdeathsig", signal]);
        if let Some(User { uid, gid }) = user {
            bound.args(["--clear-groups", "--reuid", &uid.to_string(), "--regid", &gid.to_string()]);
        }
        bound.arg("--").arg(command.get_program());
    }
    bound.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(name, value),
            None => bound.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        bound.current_dir(folder);
    }
    bound
}

/// The command as a process of another user.
pub(crate) fn as_user(mut command: Command, user: Option<User>) -> Command {
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
    command
}
