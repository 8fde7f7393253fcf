use super::ConfigError;

/// Limits of announcing to trackers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnounceConfig {}

impl AnnounceConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}
