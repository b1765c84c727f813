//! With which position a run of a sink begins. Pure: who says what, and what follows.

use lakehead_connector_api::Delivery;
use lakehead_model::Position;

use super::position_file::PositionRecord;

/// The position to begin with, and what is to be told about it.
pub(crate) fn position(
    target: Option<Position>,
    record: &PositionRecord,
    delivery: Delivery,
) -> (Option<Position>, Option<&'static str>) {
    match target {
        // What the target says is of what the sink delivered before.
        Some(_) if record.began_anew => (record.position, None),
        Some(position) => (Some(position), None),
        None if delivery == Delivery::Transactional && record.commits > 0 => (
            record.position,
            Some("its target does not know any more how far it had got: it goes on where Lakehead has noted"),
        ),
        None => (record.position, None),
    }
}

#[cfg(test)]
mod tests {
    use lakehead_model::{Name, Offset};

    use super::*;

    #[test]
    fn the_target_is_believed_unless_it_speaks_of_something_else() {
        let at = |next| Some(Position::Log { epoch: 0, next: Offset(next) });
        let record = |commits, began_anew| PositionRecord {
            from: Name::new("s").expect("a name"),
            is_view: false,
            position: at(5),
            commits,
            lost_rows: 0,
            began_anew,
        };
        let exactly = Delivery::Transactional;
        assert_eq!(position(at(7), &record(3, false), exactly), (at(7), None), "the note was behind");
        assert_eq!(position(at(7), &record(0, true), exactly), (at(5), None), "it delivered another stream before");
        assert_eq!(position(None, &record(0, false), exactly), (at(5), None), "its first run");
        let (goes_on, told) = position(None, &record(3, false), exactly);
        assert_eq!((goes_on, told.is_some()), (at(5), true));
        assert_eq!(position(None, &record(3, false), Delivery::AtLeastOnce), (at(5), None));
    }
}
