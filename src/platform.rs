//! Where calls go.

use std::fmt;

/// A rehearsal never counts as the real thing: what was sent is known by platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Platform {
    /// WeChat itself, or a stand-in elsewhere.
    Wechat,
    /// A server on this machine.
    Loopback,
    /// The server that is embedded in the run.
    Sandbox,
}

impl Platform {
    const ALL: [Self; 3] = [Self::Wechat, Self::Loopback, Self::Sandbox];

    /// As ledger, reports and documents write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wechat => "wechat",
            Self::Loopback => "loopback",
            Self::Sandbox => "sandbox",
        }
    }

    /// The platform of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|platform| platform.name() == name)
    }

    /// Whether WeChat's limits hold, whatever the plan says.
    pub fn is_real(self) -> bool {
        self == Self::Wechat
    }

    /// Whether the server lives in the time of the run, in which waits pass at once.
    pub fn is_rehearsal(self) -> bool {
        self == Self::Sandbox
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
