//! The pipelines in `examples/` that name this source pass its check, and the columns that their views name are declared.

use lakehead_connector_api::SourceSpec;
use lakehead_model::StreamSchema;
use serde_json::Value;

use super::super::Fake;

/// Checks every source of this kind in a pipeline, and gives the pipeline back.
fn checked(pipeline: &str) -> Value {
    let pipeline: Value = toml::from_str(pipeline).expect("TOML");
    let sources = pipeline["source"].as_object().expect("sources");
    for (name, source) in sources.iter().filter(|(_, source)| source["kind"] == "fake") {
        let mut settings = source.as_object().expect("a table").clone();
        ["kind", "stream", "streams"].iter().for_each(|key| drop(settings.remove(*key)));
        (SourceSpec::of::<Fake>().check)(&settings.into()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    pipeline
}

#[test]
fn the_examples_pass_the_check_and_their_views_name_columns_that_there_are() {
    for text in
        [include_str!("../../../../../../examples/fake.toml"), include_str!("../../../../../../examples/people.toml")]
    {
        let pipeline = checked(text);
        for (name, view) in pipeline["view"].as_object().expect("views") {
            let sql = view["sql"].as_str().expect("SQL");
            let stream = sql.split("FROM ").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a stream");
            let stream = &pipeline["stream"][stream];
            assert!(stream.is_object(), "{name} reads a stream that there is");
            let mut columns: Vec<String> =
                stream["columns"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
            let builtin = stream["schema"].as_str().and_then(StreamSchema::builtin).unwrap_or_default();
            columns.extend(builtin.columns.into_iter().map(|column| column.name));
            let words = sql.split(|c: char| !c.is_alphanumeric() && c != '_');
            let used = words.filter(|word| columns.iter().any(|column| column == word)).count();
            assert!(used > 0, "{name} counts by a column of its stream: {columns:?}");
        }
    }
}
