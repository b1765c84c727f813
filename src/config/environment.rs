//! The environment, as pipeline files see it: `${NAME}` in a text stands for the variable NAME.

/// Gives the value of `${NAME}`.
pub(crate) type Environment<'a> = dyn Fn(&str) -> Option<String> + Sync + 'a;

/// The environment of this process.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// `text` with each `${NAME}` replaced, and the variables that were; `$${` stands for `${` itself.
///
/// # Errors
/// What is wrong with a `${NAME}`, and what to do.
pub(super) fn substitute(text: &str, environment: &Environment<'_>) -> Result<(String, Vec<(String, String)>), String> {
    let mut rest = text;
    let mut whole = String::with_capacity(text.len());
    let mut secrets = Vec::new();
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(escaped) = before.strip_suffix('$') {
            whole.push_str(escaped);
            whole.push_str("${");
            rest = after;
            continue;
        }
        let Some(end) = after.find('}') else {
            return Err("`${` without a closing `}`; write `$${` for the two characters themselves".to_owned());
        };
        let name = &after[..end];
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(format!("`${{{name}}}` is not the name of an environment variable"));
        }
        let value = environment(name)
            .ok_or_else(|| format!("the environment variable {name} is not set; set it, or write the value here"))?;
        whole.push_str(before);
        whole.push_str(&value);
        if !value.is_empty() {
            secrets.push((name.to_owned(), value));
        }
        rest = &after[end + 1..];
    }
    whole.push_str(rest);
    Ok((whole, secrets))
}
