//! What a pipeline file takes from the environment, and what therefore is shown nowhere: connectors keep their own secrets to
//! themselves, and what comes from outside may quote one all the same.

/// The fewest characters that are hidden: what is shorter is no secret, and stands in many a number.
const CHARACTERS_MIN: usize = 4;

/// Variables of the environment, each with its value.
#[derive(Debug, Default)]
pub(super) struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// Those that `text`, a pipeline file, names as `${NAME}`.
    pub(super) fn named_in(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let names = text.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name.to_owned());
        let values = names.filter_map(|name| Some((environment(&name)?, name)));
        let mut found: Vec<_> = values
            .filter(|(value, _)| value.chars().count() >= CHARACTERS_MIN)
            .map(|(value, name)| (name, value))
            .collect();
        // The longer first: one may be a part of another.
        found.sort_by_key(|(name, value)| (usize::MAX - value.len(), name.clone()));
        found.dedup();
        Self(found)
    }

    /// `text` with their names in place of their values, also of those that stand in it as JSON.
    pub(super) fn hidden(&self, text: String) -> String {
        self.0.iter().fold(text, |text, (name, value)| {
            let instead = format!("${{{name}}}");
            let escaped = serde_json::Value::from(value.as_str()).to_string();
            let within = escaped.trim_start_matches('"').trim_end_matches('"');
            text.replace(value.as_str(), &instead).replace(within, &instead)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_environment_are_shown_by_their_names() {
        let environment = |name: &str| match name {
            "TOKEN" => Some("s3cr\"et".to_owned()),
            "LONG" => Some("s3cr\"et-and-more".to_owned()),
            "SHORT" => Some("7".to_owned()),
            _ => None,
        };
        let secrets = Secrets::named_in("a = \"${TOKEN}\"\nb = \"x${LONG}y${SHORT}${NONE}\" ${", &environment);
        let text = "says s3cr\"et and s3cr\"et-and-more, {\"a\": \"s3cr\\\"et\"}, 7".to_owned();
        assert_eq!(secrets.hidden(text), "says ${TOKEN} and ${LONG}, {\"a\": \"${TOKEN}\"}, 7");
    }
}
