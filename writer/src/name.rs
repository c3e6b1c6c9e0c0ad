//! Names of events.

use std::borrow::Cow;
use std::fmt;

macro_rules! names {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// The name of an event: one of the starter taxonomy, or one of your own, which the log's
        /// owner defines with `SELECT eventlog.define_event('…')`.
        ///
        /// A `&'static str` or a `String` converts into a name:
        ///
        /// ```
        /// use eventlog_writer::EventName;
        /// assert_eq!(EventName::from("tool_used"), EventName::ToolUsed);
        /// assert_eq!(EventName::from("report_exported").as_str(), "report_exported");
        /// ```
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum EventName {
            $($(#[$doc])* $variant,)*
            /// A name of your own.
            Own(Cow<'static, str>),
        }

        impl EventName {
            /// The names of the starter taxonomy.
            pub const STARTER: &'static [EventName] = &[$(EventName::$variant,)*];

            /// Returns the name as the log has it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(EventName::$variant => $name,)*
                    EventName::Own(name) => name,
                }
            }

            fn known(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(EventName::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

names! {
    /// A conversation began. Requires `sessionId`, `conversationId`.
    ConversationStarted => "conversation_started",
    /// A message was sent. Requires `conversationId`, `role` (`user` or `assistant`).
    MessageSent => "message_sent",
    /// A conversation was handed to a person. Requires `conversationId`, `reason`.
    EscalationTriggered => "escalation_triggered",
    /// A subscription changed. Requires `previousPlan`, `newPlan`, `status`.
    PlanUpdated => "plan_updated",
    /// A checkout was paid. Requires `plan`, `stripeSessionId`.
    CheckoutCompleted => "checkout_completed",
    /// Ingestion of a source began. Requires `sourceType`, `url`.
    IngestStarted => "ingest_started",
    /// Ingestion of a source ended well. Requires `sourceType`, `url`, `docs`, `chunks`.
    IngestCompleted => "ingest_completed",
    /// Ingestion of a source failed. Requires `sourceType`, `url`, `errorCode`.
    IngestFailed => "ingest_failed",
    /// A call of an integration failed. Requires `integrationId`, `type`, `errorCode`.
    IntegrationFailed => "integration_failed",
    /// A call of an integration went well. Requires `integrationId`, `type`.
    IntegrationSucceeded => "integration_succeeded",
    /// A tenant tried to use more than its quota. Requires `quotaType`, `limit`, `attempted`.
    QuotaExceeded => "quota_exceeded",
    /// A tool was used, as a hook callback reports. Requires `toolName`.
    ToolUsed => "tool_used",
    /// A skill ran to its end. Requires `skillName`, `success`, `durationMs`.
    SkillExecuted => "skill_executed",
    /// An artifact was deployed. Requires `artifactName`, `artifactType`, as all of its kind do.
    ArtifactDeployed => "artifact_deployed",
    /// An artifact was updated.
    ArtifactUpdated => "artifact_updated",
    /// An artifact was synchronised.
    ArtifactSynced => "artifact_synced",
    /// An artifact was removed.
    ArtifactRemoved => "artifact_removed",
    /// An artifact was among the first five results of a search.
    ArtifactSearched => "artifact_searched",
}

impl From<&'static str> for EventName {
    fn from(name: &'static str) -> Self {
        Self::known(name).unwrap_or(EventName::Own(Cow::Borrowed(name)))
    }
}

impl From<String> for EventName {
    fn from(name: String) -> Self {
        Self::known(&name).unwrap_or(EventName::Own(Cow::Owned(name)))
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
