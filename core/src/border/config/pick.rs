use super::ConfigError;

/// Limits of choosing blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PickConfig {}

impl PickConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}
