//! What of the sends and publications the statistics are about.

/// Articles of a day with one `msg_data_id`.
pub(super) struct Issue {
    pub(crate) data_id: u64,
    /// How many people they were pushed to; 0 for what was published without a message.
    pub(crate) recipients: u64,
    pub(crate) is_pushed: bool,
    pub(crate) titles: Vec<String>,
    pub(crate) urls: Vec<String>,
}
