//! The environment, as something that can be handed in.

/// Variables by name.
pub trait Lookup {
    /// Returns a variable's value; none when it is not set or not Unicode.
    fn get(&self, name: &str) -> Option<String>;

    /// Returns every variable whose name begins with `prefix`.
    fn beginning_with(&self, prefix: &str) -> Vec<(String, String)>;
}

/// The process's own environment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Environment;

impl Lookup for Environment {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    fn get(&self, name: &str) -> Option<String> {
        // A variable that is not Unicode cannot be a setting of ours.
        std::env::var(name).ok()
    }

    fn beginning_with(&self, prefix: &str) -> Vec<(String, String)> {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with(prefix))
            .collect()
    }
}

#[cfg(test)]
impl Lookup for std::collections::BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        std::collections::BTreeMap::get(self, name).cloned()
    }

    fn beginning_with(&self, prefix: &str) -> Vec<(String, String)> {
        self.iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}
