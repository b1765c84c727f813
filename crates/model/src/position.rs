//! How far a follower of a stream or a view has got, and how that is written.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Offset;

/// A place in what can be followed: the next event of a stream, or a commit of a view. Written `log.EPOCH.OFFSET` and
/// `view.INCARNATION.COMMIT`, as in `log.0.1200`, by sinks, in ids of events that are served, and on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Position {
    /// In a stream.
    Log {
        /// The stream's epoch: it rises when events that were seen are no longer there.
        epoch: u64,
        /// The offset of the next event.
        next: Offset,
    },
    /// In the changes of a view.
    View {
        /// Which life of the view: a rebuild begins another.
        incarnation: u64,
        /// The last commit that was taken in.
        commit: u64,
    },
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log { epoch, next } => write!(f, "log.{epoch}.{next}"),
            Self::View { incarnation, commit } => write!(f, "view.{incarnation}.{commit}"),
        }
    }
}

impl FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let shown: String = text.chars().take(80).collect();
            format!("{shown:?} is no position: it is written log.EPOCH.OFFSET or view.INCARNATION.COMMIT")
        };
        let (what, numbers) = text.split_once('.').ok_or_else(wrong)?;
        let (first, second) = numbers.split_once('.').ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
        match what {
            "log" => Ok(Self::Log { epoch: number(first)?, next: Offset(number(second)?) }),
            "view" => Ok(Self::View { incarnation: number(first)?, commit: number(second)? }),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Position {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Position> for String {
    fn from(position: Position) -> Self {
        position.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_written() {
        for position in
            [Position::Log { epoch: 3, next: Offset(1_200) }, Position::View { incarnation: u64::MAX, commit: 0 }]
        {
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        assert_eq!("log.3.1200".parse(), Ok(Position::Log { epoch: 3, next: Offset(1_200) }));
        for wrong in ["", "log", "log.1", "log.1.-2", "log.1.2.3", "2.17", "stream.1.2", "view.1.18446744073709551616"]
        {
            assert!(wrong.parse::<Position>().is_err(), "{wrong}");
        }
    }
}
