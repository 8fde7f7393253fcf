use super::ConfigError;

/// Limits of one peer connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerConfig {}

impl PeerConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}
