use super::ConfigError;

/// Limits on addresses of peers and on dialling them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CandidateConfig {}

impl CandidateConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}
