//! A page in Prometheus' text format 0.0.4.

use std::fmt::Write;

use lakehead_model::Name;

/// The text so far, and the family that values are added to.
#[derive(Default)]
pub(crate) struct MetricsPage {
    pub(crate) text: String,
    family: &'static str,
}

impl MetricsPage {
    /// Begins a family: what follows is a value of it.
    pub(crate) fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.family = name;
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One value of the family.
    pub(crate) fn value(&mut self, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(self.family);
        for (at, (name, value)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{before}{name}=\"{value}\"");
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{after} {value}");
    }

    /// One value for each of `items`, where there is one.
    pub(crate) fn each<'a, T: 'a>(
        &mut self,
        (name, kind, help): (&'static str, &str, &str),
        label: &str,
        items: impl IntoIterator<Item = (&'a Name, &'a T)>,
        value: impl Fn(&T) -> Option<f64>,
    ) {
        self.family(name, kind, help);
        for (item_name, item) in items {
            if let Some(value) = value(item) {
                self.value(&[(label, item_name.as_str())], value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_break_out_of_its_quotes() {
        let mut page = MetricsPage::default();
        page.family("lakehead_test", "gauge", "A test.");
        page.value(&[("a", "x\"\\\n"), ("b", "y")], 1.5);
        page.value(&[], 3.0);
        let expected = "# HELP lakehead_test A test.\n# TYPE lakehead_test gauge\n\
                        lakehead_test{a=\"x\\\"\\\\\\n\",b=\"y\"} 1.5\nlakehead_test 3\n";
        assert_eq!(page.text, expected);
    }
}
