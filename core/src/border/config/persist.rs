use super::ConfigError;

/// When data are synced and resume data saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersistConfig {}

impl PersistConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}
