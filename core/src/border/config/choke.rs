use super::ConfigError;

/// Limits of serving.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChokeConfig {}

impl ChokeConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}
